import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { cancelled, progress } from '../../capability.js';
import { failure } from '../../errors.js';
import { exists } from '../../files.js';
import { type Cluster, controlData } from '../../postgres/cluster.js';
import { one, withClient } from '../../postgres/connect.js';
import { ledger } from '../../postgres/server.js';
import type { BackupSet, EngineTake } from '../engine.js';
import { pushedFolder, walg } from './wal-g-config.js';
import { archived, info } from './wal-g-store.js';

/**
 * Takes one backup: `wal-g backup-push`. What is based on another one is a delta of pages by their LSN: that is right
 * only for a base on the same timeline, since after a recovery a page can be older than the base and differ from it all
 * the same. Without such a base it is a full one.
 * Source: wal-g.readthedocs.io/PostgreSQL, backup-push.
 */
export async function take(cluster: Cluster, { type, run, location, rows }: EngineTake): Promise<void> {
  await refuseTablespaces(cluster);
  const base = type === 'full' ? undefined : await baseOf(cluster, location, type === 'differential');
  const { segmentBytes } = await controlData(cluster, cluster.dataDirectory);
  const how = base ? ['--delta-from-name', base.label] : ['--full'];
  await walg(cluster, location, ['backup-push', cluster.dataDirectory, '--verify', ...how], {
    ledger: ledger(cluster, 'wal-g-backup-push'),
    env: { WALG_SENTINEL_USER_DATA: JSON.stringify({ run, type, segmentBytes, ...(rows ? { rows } : {}) }) },
    onLine: (line) => {
      const part = /Finished writing part (\d+)/.exec(line)?.[1];
      if (part) progress({ what: `${type} backup at ${location}: part ${part} is there` });
    },
  });
}

/** WAL-G restores them to where they were: beside production, that would be into production. */
async function refuseTablespaces(cluster: Cluster): Promise<void> {
  const names = await withClient(cluster, { database: 'postgres' }, async (client) => {
    const { rows } = await client.query<{ spcname: string }>(
      `select spcname from pg_tablespace where spcname not in ('pg_default', 'pg_global')`,
    );
    return rows.map(({ spcname }) => spcname);
  });
  if (names.length > 0) throw tablespaces(names.join(', '));
}

export const tablespaces = (names: string) =>
  failure(
    'BadRequest',
    `the database has tablespaces (${names}), which Lifeboat does not restore with WAL-G: it would put them where production has them`,
    'Use engine: pgbackrest for this database, or move what is in them to the default tablespace.',
  );

async function baseOf(cluster: Cluster, location: string, full: boolean): Promise<BackupSet | undefined> {
  const { backups } = await info(cluster, [location]);
  const writes = await withClient(cluster, { database: 'postgres' }, (client) =>
    one<string>(client, 'select pg_walfile_name(pg_current_wal_lsn())'),
  );
  return backups
    .filter(
      (backup) =>
        backup.walStart.slice(0, 8) === writes?.slice(0, 8) && !backup.pageErrors && (!full || backup.type === 'full'),
    )
    .sort((a, b) => b.stoppedAt - a.stoppedAt || b.label.localeCompare(a.label))[0];
}

/**
 * Waits until the WAL without which a backup is nothing is at its location. Since PostgreSQL 15, `backup-push` does not
 * wait for it. While another location is away, the archiver holds on to a segment that this one has not got yet: then
 * it is pushed from here. Twice changes nothing. Throws CommandFailed.
 */
export async function demandWal(
  cluster: Cluster,
  location: string,
  { label, walStart, walStop }: BackupSet,
): Promise<void> {
  const until = Date.now() + 300_000;
  for (let tries = 0; ; tries += 1) {
    const { segments } = await archived(cluster, location);
    const have = new Set(segments);
    // Of one timeline: their names sort as they follow each other.
    if (have.has(walStart) && have.has(walStop)) return;
    if (Date.now() > until) break;
    progress({ what: `waiting for the WAL of ${label} to be archived at ${location}` });
    if (tries > 4) await pushFrom(cluster, location, walStart, have);
    await pause(1000, undefined, { signal: cancelled() });
  }
  throw failure(
    'CommandFailed',
    `the WAL that ${label} needs (${walStart} to ${walStop}) did not arrive at ${location}`,
    'Read the log of the server: it says why archiving fails.',
  );
}

async function pushFrom(cluster: Cluster, location: string, first: string, have: Set<string>): Promise<void> {
  const wal = join(cluster.dataDirectory, 'pg_wal');
  const whole = (await readdir(join(wal, 'archive_status')).catch((): string[] => []))
    .map((name) => /^([0-9A-F]{24})\.(?:ready|done)$/.exec(name)?.[1])
    .filter((name) => name !== undefined)
    .sort();
  for (const name of whole) {
    if (name < first || have.has(name) || !(await exists(join(wal, name)))) continue;
    const env = { PGDATA: pushedFolder(cluster, location), TOTAL_BG_UPLOADED_LIMIT: '1' };
    // What fails here the archiver will bring.
    await walg(cluster, location, ['wal-push', join(wal, name)], { env, timeout: 300_000 }).catch(() => undefined);
  }
}
