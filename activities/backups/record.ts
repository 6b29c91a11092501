import type { Readable } from 'node:stream';
import { Readable as Stream } from 'node:stream';
import { z } from 'zod';
import type { Location } from '../locations/location.js';
import { failure } from '../errors.js';
import type { BackupKind, BackupRecord } from '../../vocabulary/backup.js';

/**
 * The `.meta.json` beside each backup. A backup without one is not listed: it is written last, when the backup was read
 * back.
 */

/** Below this lies everything of a component at a location. */
export const componentPrefix = (system: string, kind: BackupKind, component: string): string =>
  `lifeboat/${system}/${kind}/${component}/`;
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
 * Every record of a component at a location, newest first. One that cannot be read, or is not of the backup whose name
 * it bears (two were swapped), is listed as damaged and never taken for good.
 */
export async function readRecords(
  location: Location,
  system: string,
  kind: BackupKind,
  component: string,
): Promise<BackupRecord[]> {
  const prefix = componentPrefix(system, kind, component);
  const found = (await location.list(prefix)).filter(({ name }) =>
    /^[^/]+\.meta\.json$/.test(name.slice(prefix.length)),
  );
  const records: BackupRecord[] = [];
  for (const { name, modifiedAt } of found) {
    const id = name.slice(prefix.length, -'.meta.json'.length);
    const of = { system, kind, component, id };
    records.push(
      await readRecord(location, of).catch((error: unknown) => damagedRecord(of, location.name, modifiedAt, error)),
    );
  }
  return records.sort((a, b) => b.timestamp.localeCompare(a.timestamp) || b.id.localeCompare(a.id));
}

/** What whoever reads a record relies on. Anybody who can write at a location can write one. */
const shape = z.looseObject({
  type: z.string(),
  timestamp: z.string().refine((text) => !Number.isNaN(Date.parse(text)), 'is no time'),
  database: z.string(),
  size: z.number(),
  files: z.array(z.looseObject({ name: z.string(), bytes: z.number(), sha256: z.string() })),
  tools: z.record(z.string(), z.string()),
  run: z.string(),
});

/** What is wrong with a record; undefined when it is one, and of nothing but its own backup. */
function flawOfRecord(
  record: unknown,
  of: Pick<BackupRecord, 'system' | 'kind' | 'component' | 'id'>,
): string | undefined {
  if (typeof record !== 'object' || record === null) return 'is no record of a backup';
  for (const field of ['system', 'kind', 'component', 'id'] as const) {
    const found = (record as Record<string, unknown>)[field];
    if (found !== of[field]) return `is not of this backup: its ${field} is ${String(found)}`;
  }
  const parsed = shape.safeParse(record);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    return `was changed: its ${issue?.path.join('.') ?? ''} is not what a record has`;
  }
  const { files } = parsed.data;
  const foreign = files.find(({ name }) => !name.startsWith(backupPrefix(of)) || name.split('/').includes('..'));
  if (foreign) return `is not of this backup: it names ${foreign.name}`;
  // Without its dump, every file of it is sound, and nothing can be restored.
  if (of.kind === 'logical' && !files.some(({ name }) => name.startsWith(`${backupPrefix(of)}database.dump`)))
    return 'names no dump';
  return undefined;
}

async function readRecord(
  location: Location,
  of: Pick<BackupRecord, 'system' | 'kind' | 'component' | 'id'>,
): Promise<BackupRecord> {
  const name = recordName(of);
  const record = JSON.parse(await textOf(await location.get(name))) as BackupRecord;
  const flaw = flawOfRecord(record, of);
  if (flaw)
    throw failure(
      'BackupDamaged',
      `${name} at ${location.name} ${flaw}`,
      'Somebody changed, renamed or swapped files there; this backup is passed over.',
    );
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
  const why =
    error instanceof SyntaxError ? `${recordName(of)} cannot be read: ${error.message}` : (error as Error).message;
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
