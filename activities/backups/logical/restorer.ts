import { open } from 'node:fs/promises';
import type pg from 'pg';
import type { BackupRecord } from '../../../vocabulary/backup.js';
import { failure } from '../../errors.js';
import { one } from '../../postgres/connect.js';
import { type Programs, programsFor } from '../../postgres/programs.js';
import type { Archive } from './fetch.js';

/**
 * Which programs load a dump: they must read its format, and be as old as the server where they can, which knows
 * nothing that came after it.
 */

export interface Restorer extends Programs {
  /** Newer than the server: it sets parameters that the server need not know. */
  newer: boolean;
}

/**
 * The oldest pg_restore that reads what this pg_dump writes in custom format. Source: PostgreSQL, pg_backup_archiver.h,
 * K_VERS.
 */
function oldestReader(pgDump: number): number {
  if (pgDump < 16) return 0;
  return pgDump === 18 ? 17 : pgDump;
}

/** By its minor version, after `PGDMP` and the major one: 1.15 came with PostgreSQL 16, 1.16 with 17. */
const readers: Record<number, number> = { 15: 16, 16: 17 };
const firstUnknown = 19;

/** 0: any. Its own first bytes say it, or, before it is here, its record. */
async function readerOf({ path, format, record }: Archive): Promise<number> {
  if (format !== 'custom') return 0;
  const file = await open(path).catch(() => undefined);
  if (!file) return readerOfRecord(record);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(7), 0, 7, 0);
    if (bytesRead < 7 || buffer[5] !== 1 || buffer[6]! < 15) return 0;
    return readers[buffer[6]!] ?? Math.max(firstUnknown, readerOfRecord(record));
  } finally {
    await file.close();
  }
}

export const readerOfRecord = (record: BackupRecord | undefined): number =>
  oldestReader(parseInt(record?.tools['pg_dump'] ?? '0') || 0);

/**
 * For an archive that is here, or comes. `server`: its major version. Throws ToolMissing, which says what to install.
 */
export async function restorerFor(server: number, archive: Archive, preferred: string | undefined): Promise<Restorer> {
  return restorerOf(server, await readerOf(archive), archive.what, preferred);
}

/** The same for a record, before hours are spent to fetch what it tells of. */
export const restorerForRecord = (
  server: number,
  record: BackupRecord,
  preferred: string | undefined,
): Promise<Restorer> => restorerOf(server, readerOfRecord(record), `${record.id} at ${record.location}`, preferred);

async function restorerOf(
  server: number,
  reader: number,
  what: string,
  preferred: string | undefined,
): Promise<Restorer> {
  const needed = Math.max(server, reader);
  const programs = await programsFor(needed, ['pg_restore', 'psql'], preferred).catch((error: unknown) => {
    if (reader <= server) throw error;
    throw formatTooNew(what, reader);
  });
  return { ...programs, newer: parseInt(programs.version) > server };
}

/** What to install is in the message too: it is all that is left of it where several dumps are looked at. */
export const formatTooNew = (what: string, reader: number) =>
  failure(
    'ToolMissing',
    `${what} is in a format that pg_restore reads from PostgreSQL ${reader} on, which is not on this host (Debian: postgresql-client-${reader})`,
    `Install postgresql-client-${reader} beside what is here (Debian; elsewhere the client programs of PostgreSQL ${reader}), then retry.`,
  );

/** Which of these parameters the server does not know. */
export async function unknownTo(client: pg.Client, parameters: Iterable<string>): Promise<string[]> {
  const unknown: string[] = [];
  for (const name of new Set(parameters))
    if (await one<boolean>(client, 'select current_setting($1, true) is null', [name])) unknown.push(name);
  return unknown;
}

/**
 * Takes out of a script of pg_dump, which is ours to change, what it sets at its beginning and the server does not
 * know: each such SET becomes a comment of the same length. Returns the names.
 */
export async function silenceUnknown(client: pg.Client, path: string): Promise<string[]> {
  const file = await open(path, 'r+');
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(16 * 1024), 0, 16 * 1024, 0);
    // Byte by byte: an offset in the text is one in the file. Objects come behind the first "-- Name:".
    const head = buffer.toString('latin1', 0, bytesRead).split('\n-- Name: ')[0]!;
    if (!/^\n?--\n-- PostgreSQL database dump\n/.test(head)) return [];
    const settings = [...head.matchAll(/^SET (\w+) = [^;\n]*;$/gm)];
    const unknown = await unknownTo(
      client,
      settings.map((setting) => setting[1]!),
    );
    for (const setting of settings) if (unknown.includes(setting[1]!)) await file.write('-- ', setting.index, 'latin1');
    return unknown;
  } finally {
    await file.close();
  }
}
