import type { Cluster } from '../postgres/cluster.js';
import { withLocation } from '../locations/open.js';
import { within } from '../locations/transfer.js';
import { failure } from '../errors.js';
import type { BackupRecord } from '../../vocabulary/backup.js';
import type { BackupSet } from './engine.js';
import { engineOf } from './engines.js';
import { dropConfiguration } from './kept-configuration.js';
import { readRecords, recordName, writeRecord } from './record.js';

/**
 * The `.meta.json` beside each physical backup. What the engine knows is the truth; the record adds what only Lifeboat
 * knows: when it was verified and restored, and that it is damaged. It is written last, when the backup was read back.
 */

const types = { full: 'full', diff: 'differential', incr: 'incremental' } as const;

/** The record of a backup as the engine lists it. */
function recordOf(cluster: Cluster, backup: BackupSet, tools: Record<string, string> = {}): BackupRecord {
  const rows = backup.annotations['lifeboat-rows'];
  return {
    id: backup.label,
    system: cluster.context.plan.system,
    kind: 'physical',
    component: cluster.database,
    type: types[backup.type],
    timestamp: new Date(backup.stoppedAt * 1000).toISOString(),
    database: cluster.plan.name,
    location: backup.location,
    size: backup.repositoryBytes,
    dataBytes: backup.databaseBytes,
    compression: engineOf(cluster).compression(cluster),
    encryption: engineOf(cluster).encryption(cluster, backup.location),
    files: [],
    tools,
    seconds: backup.stoppedAt - backup.startedAt,
    wal: { start: backup.walStart, stop: backup.walStop },
    ...(backup.prior ? { basedOn: backup.prior } : {}),
    run: backup.annotations['lifeboat-run'] ?? '',
    ...(rows ? { rows: JSON.parse(rows) as Record<string, number | null> } : {}),
    ...(backup.pageErrors ? { damaged: pageErrors(backup) } : {}),
  };
}

const pageErrors = ({ stoppedAt }: BackupSet) => ({
  at: new Date(stoppedAt * 1000).toISOString(),
  why: 'damaged pages were found in the database while it was taken',
});

/** Records are read for this long at a location; a recovery goes on without them. */
const patience = 20_000;

/** What a location says of the backups of this database, by label. Throws when the location cannot be read. */
export async function recordsAt(cluster: Cluster, location: string): Promise<Map<string, BackupRecord>> {
  const read = withLocation(cluster.context, location, (open) =>
    readRecords(open, cluster.context.plan.system, 'physical', cluster.database),
  );
  const late = () =>
    failure(
      'LocationUnreachable',
      `${location} did not give its records within ${patience / 1000} s`,
      'Look at the location.',
    );
  return new Map((await within(patience, read, late)).map((record) => [record.id, record]));
}

export type Records = Map<string, Map<string, BackupRecord>>;

/**
 * The records of several locations at once. One whose records cannot be read has none: its backups are there all the
 * same.
 */
export async function recordsOf(cluster: Cluster, locations: string[]): Promise<Records> {
  const none = new Map<string, BackupRecord>();
  const found = await Promise.all(
    locations.map(async (location) => [location, await recordsAt(cluster, location).catch(() => none)] as const),
  );
  return new Map(found);
}

/** The record, unless it cannot be read or is that of another backup: then it says nothing of the backup. */
export const readable = (record: BackupRecord | undefined): BackupRecord | undefined =>
  record?.type === 'unknown' ? undefined : record;

/** A backup as it is listed: by the engine, with what its record adds. */
export function merged(cluster: Cluster, backup: BackupSet, record: BackupRecord | undefined): BackupRecord {
  const own = recordOf(cluster, backup);
  if (!record) return own;
  if (!readable(record)) return { ...own, ...(record.damaged ? { damaged: record.damaged } : {}) };
  const { tools, verified, restored, damaged = own.damaged } = record;
  return {
    ...own,
    tools,
    ...(verified ? { verified } : {}),
    ...(restored ? { restored } : {}),
    ...(damaged ? { damaged } : {}),
  };
}

/**
 * Writes the record of a backup at its location, with what is new about it; absent in `change`: as it was. `known`: its
 * records, when they were read just now.
 */
export async function note(
  cluster: Cluster,
  backup: BackupSet,
  change: Partial<Pick<BackupRecord, 'tools' | 'verified' | 'restored' | 'damaged'>>,
  known?: Map<string, BackupRecord>,
): Promise<void> {
  const before = (known ?? (await recordsAt(cluster, backup.location))).get(backup.label);
  const record: BackupRecord = { ...merged(cluster, backup, readable(before)), ...change };
  // Of a damaged one nothing good is said, until it is read whole again.
  if (change.damaged) delete record.verified;
  if (change.verified && !backup.pageErrors) delete record.damaged;
  await withLocation(cluster.context, backup.location, (open) => writeRecord(open, record));
}

/** Removes the records of these backups from a location. */
export async function dropRecords(cluster: Cluster, location: string, labels: string[]): Promise<void> {
  const { system } = cluster.context.plan;
  await withLocation(cluster.context, location, async (open) => {
    for (const id of labels) {
      await open.remove(recordName({ system, kind: 'physical', component: cluster.database, id }));
      await dropConfiguration(open, cluster, id);
    }
  });
}

/** Removes the records whose backup is gone. */
export async function dropStale(cluster: Cluster, location: string, backups: BackupSet[]): Promise<void> {
  const there = new Set(backups.filter((backup) => backup.location === location).map(({ label }) => label));
  const stale = [...(await recordsAt(cluster, location)).keys()].filter((label) => !there.has(label));
  if (stale.length > 0) await dropRecords(cluster, location, stale);
}
