import type { Readable } from 'node:stream';
import { Readable as Stream } from 'node:stream';
import type { Location } from '../locations/location.js';
import { failure } from '../errors.js';
import type { BackupKind } from '../../plan/kinds.js';
import type { BackupRecord } from '../../workflows/messages.js';

/** The `.meta.json` beside each backup. A backup without one is not listed: it is written last, when the backup was read back. */

/** Below this lies everything of a component at a location. */
export const componentPrefix = (system: string, kind: BackupKind, component: string): string => `lifeboat/${system}/${kind}/${component}/`;
/** `lifeboat/shop/logical/main/20261121T020000Z/`: where the files of a backup are. */
export const backupPrefix = (of: Pick<BackupRecord, 'system' | 'kind' | 'component' | 'id'>): string =>
  `${componentPrefix(of.system, of.kind, of.component)}${of.id}/`;
export const recordName = (of: Pick<BackupRecord, 'system' | 'kind' | 'component' | 'id'>): string =>
  `${componentPrefix(of.system, of.kind, of.component)}${of.id}.meta.json`;

/** `20261121T020000Z`: the ID of a backup that begins now. */
export const backupId = (at: Date): string => at.toISOString().replace(/[-:]/g, '').replace(/\.\d+/, '');

/** Writes or replaces the record of a backup at its location. */
export async function writeRecord(location: Location, record: BackupRecord): Promise<void> {
  await location.put(recordName(record), Stream.from([JSON.stringify(record, undefined, 2)]));
}

/**
 * Every record of a component at a location, newest first. One that cannot be read, or is not of the backup whose name it bears (two were
 * swapped), is listed as damaged and never taken for good.
 */
export async function readRecords(location: Location, system: string, kind: BackupKind, component: string): Promise<BackupRecord[]> {
  const prefix = componentPrefix(system, kind, component);
  const found = (await location.list(prefix)).filter(({ name }) => /^[^/]+\.meta\.json$/.test(name.slice(prefix.length)));
  const records: BackupRecord[] = [];
  for (const { name, modifiedAt } of found) {
    const id = name.slice(prefix.length, -'.meta.json'.length);
    const of = { system, kind, component, id };
    records.push(await readRecord(location, of).catch((error: unknown) => damagedRecord(of, location.name, modifiedAt, error)));
  }
  return records.sort((a, b) => b.timestamp.localeCompare(a.timestamp) || b.id.localeCompare(a.id));
}

async function readRecord(location: Location, of: Pick<BackupRecord, 'system' | 'kind' | 'component' | 'id'>): Promise<BackupRecord> {
  const name = recordName(of);
  const record = JSON.parse(await textOf(await location.get(name))) as BackupRecord;
  for (const field of ['system', 'kind', 'component', 'id'] as const) {
    if (record[field] !== of[field]) {
      throw failure(
        'BackupDamaged',
        `${name} at ${location.name} is not of this backup: its ${field} is ${String(record[field])}`,
        'Somebody renamed or swapped files there; this backup is passed over.',
      );
    }
  }
  return { ...record, location: location.name };
}

function damagedRecord(
  of: Pick<BackupRecord, 'system' | 'kind' | 'component' | 'id'>,
  location: string,
  modifiedAt: number,
  error: unknown,
): BackupRecord {
  // A location that went away is no damage: that is for the caller to say.
  if (!(error instanceof SyntaxError) && (error as { type?: string }).type !== 'BackupDamaged') throw error;
  const at = new Date(modifiedAt).toISOString();
  const why = error instanceof SyntaxError ? `${recordName(of)} cannot be read: ${error.message}` : (error as Error).message;
  return {
    ...of,
    type: 'unknown',
    timestamp: at,
    database: of.component,
    location,
    size: 0,
    compression: 'none',
    encryption: 'none',
    files: [],
    tools: {},
    seconds: 0,
    run: '',
    damaged: { at, why },
  };
}

export async function textOf(stream: Readable): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of stream) parts.push(Buffer.from(part as Uint8Array));
  return Buffer.concat(parts).toString('utf8');
}
