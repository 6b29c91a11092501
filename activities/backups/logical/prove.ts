import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { BackupRecord } from '../../../vocabulary/backup.js';
import { cancelled, progress } from '../../capability.js';
import type { HostContext } from '../../context.js';
import { makeDirectory, ownFor, removeTree } from '../../files.js';
import { inTurn } from '../../in-turn.js';
import { programsFor } from '../../postgres/programs.js';
import { withSource } from '../../postgres/source.js';
import type { Location } from '../../locations/location.js';
import { type Archive, freshFolder } from './fetch.js';
import { createEmpty, loadSchema } from './load.js';
import { restorerFor } from './restorer.js';
import { inOneLine } from './restore-errors.js';
import { isDump, type KeptFile, readBack } from './read-back.js';
import { removeScratch, scratchOwner, scratchServer, startScratch } from './scratch-server.js';

/**
 * A dump that reads well may still hold what no server takes: made by a newer pg_dump, or with objects that find others
 * by a `search_path`. Its schema is loaded into an empty server of the version that it came from, which costs seconds
 * whatever its size. That its rows load too, a test restore proves.
 */

export interface Proof {
  /** Objects that could not be loaded, each in a line; absent where it was not loaded. */
  failed?: string[];
  /** Why it was not loaded. */
  not?: string;
}

const needed = ['initdb', 'pg_ctl', 'postgres'];
/** What this host lacks says nothing of the dump. */
const ofTheHost = /^(EXTENSION|COLLATION|COMMENT - EXTENSION) /;

/** What a reading back keeps for it: the beginning of the dump, and the roles. */
const keptBeginning = (folder: string) => ({
  dump: join(folder, 'database.dump'),
  globals: join(folder, 'globals.sql'),
});

/** Where it is kept meanwhile: whom the scratch server runs as must read it. */
export async function keptFolder(context: HostContext, folder: string): Promise<string> {
  await makeDirectory(dirname(folder), undefined, 0o755);
  return freshFolder(folder, await scratchOwner(context).catch(() => undefined));
}

/** Reads a file of a dump back, and keeps its beginning there. Throws as `readBack` does. */
export async function readBackAndKeep(
  context: HostContext,
  location: Location,
  file: KeptFile,
  pgRestore: string,
  tell: (bytes: number) => void,
  folder: string | undefined,
): Promise<void> {
  if (folder === undefined) return readBack(context, location, file, pgRestore, tell);
  const { dump, globals } = keptBeginning(folder);
  const keep = isDump(file) ? dump : globals;
  await readBack(context, location, file, pgRestore, tell, keep);
  await ownFor(keep, await scratchOwner(context).catch(() => undefined));
}

/**
 * Never throws for what is wrong with the dump or the host; `folder`: with its {@link keptBeginning}, readable to
 * whoever loads it.
 */
export async function prove(
  context: HostContext,
  record: Pick<BackupRecord, 'component' | 'made' | 'tools'>,
  folder: string,
): Promise<Proof> {
  const { component } = record;
  if (context.plan.databases[component]?.postgres.url) return { not: 'its server is reached by a connection string' };
  return inTurn(`${context.state} logical schema ${component}`, async () => {
    try {
      return await loaded(context, record, folder);
    } catch (error) {
      cancelled()?.throwIfAborted();
      return { not: (error as Error).message };
    }
  });
}

async function loaded(
  context: HostContext,
  record: Pick<BackupRecord, 'component' | 'made' | 'tools'>,
  folder: string,
): Promise<Proof> {
  const major = parseInt(record.tools['postgresql'] ?? '0');
  const programs = await programsFor(major, needed).catch(() => undefined);
  if (!programs || parseInt(programs.version) !== major)
    return { not: `there is no PostgreSQL ${major || 'server'} on ${context.host} to load it into` };
  const server = await scratchServer(context, record.component, 'schema');
  const { source } = server;
  const kept = keptBeginning(folder);
  try {
    progress({ what: 'loading the schema of the dump into a scratch server' });
    await removeScratch(server);
    await startScratch(server, programs);
    return await withSource(source, 'template1', async (admin) => {
      const database = 'lifeboat_schema';
      const globals = await readFile(kept.globals, 'utf8').catch(() => '');
      const archive: Archive = { path: kept.dump, format: 'custom', globals, what: 'the dump', passedOver: [] };
      const restorer = await restorerFor(major, archive, source.plan.postgres.binDirectory);
      const loading = {
        source,
        admin,
        archive,
        programs: restorer,
        database,
        made: record.made,
        ledger: server.ledger('load'),
        skipFailed: true,
      };
      await createEmpty(loading);
      const failed = await loadSchema(loading);
      const [missing] = failed.filter(({ what }) => ofTheHost.test(what));
      return missing ? { not: `this host cannot load it: ${inOneLine(missing)}` } : { failed: failed.map(inOneLine) };
    });
  } finally {
    await removeScratch(server);
    await removeTree(folder);
  }
}

/**
 * Whether a dump may be called verified: it was loaded whole; or could not be loaded here, and its own server's
 * programs wrote it.
 */
export const isProven = ({ failed }: Proof, { tools }: Pick<BackupRecord, 'tools'>): boolean =>
  failed
    ? failed.length === 0
    : parseInt(tools['pg_dump'] ?? '0') <= parseInt(tools['postgresql'] ?? tools['pg_dump'] ?? '0');

/** For a record. */
export const proofOf = ({ failed, not }: Proof): NonNullable<BackupRecord['schema']> => ({
  at: new Date().toISOString(),
  ...(failed ? { failed } : { not: not ?? '' }),
});

/** For people, as the end of a sentence about the dump. */
export function proofInWords({ failed, not }: Proof): string {
  if (!failed) return `listed, not loaded: ${not ?? 'it was not tried'}`;
  return failed.length === 0 ? 'its schema loads' : `NOT all of it can be restored: ${failed.join('; ')}`;
}
