import { databaseObjectives, otherHosts } from '../../plan/access.js';
import { formatDuration } from '../../vocabulary/units.js';
import type { Alert } from '../../vocabulary/alert.js';
import { claimedBy } from '../postgres/claim.js';
import type { Cluster } from '../postgres/cluster.js';
import { type Client, withClient } from '../postgres/connect.js';
import { isClosed } from '../postgres/fence.js';
import { readCanary } from '../postgres/canary.js';

/** A standby that is further behind than this is told of (requirement BK-12); seconds. */
const lagAllowed = 60;

/**
 * Whether what is committed now is safe elsewhere within the RPO: the archive, and the standbys. Nothing is said while
 * an incident holds the database.
 */
export async function archiveAndReplicas(cluster: Cluster): Promise<Alert[]> {
  if ((await claimedBy(cluster)) !== undefined || (await isClosed(cluster).catch(() => false))) return [];
  const { plan } = cluster.context;
  const rpo = databaseObjectives(plan, cluster.database).rpo;
  const archived = await withClient(cluster, { statementTimeout: 20_000 }, (client) =>
    archiveBehind(cluster.database, client, rpo),
  );
  return [
    ...archived,
    ...(await withClient(cluster, { statementTimeout: 20_000 }, (client) => replicasBehind(cluster, client, rpo))),
  ];
}

/**
 * The age of the oldest WAL that only this host has. Sources: pg_stat_archiver, and pg_ls_archive_statusdir(), whose
 * `.ready` files wait for archive_command (PostgreSQL 15, 28.2.13 and 9.27.9). What is in the segment that is being
 * written counts too, by the canary: it commits all the time.
 */
async function archiveBehind(database: string, client: Client, rpo: number): Promise<Alert[]> {
  const { rows } = await client.query<{
    mode: string;
    failing: boolean;
    since: string | null;
    waiting: string | null;
    last: string | null;
    primary: boolean;
  }>(
    `select current_setting('archive_mode') as mode, not pg_is_in_recovery() as primary,
            coalesce(last_failed_time > last_archived_time, last_failed_time is not null) as failing,
            extract(epoch from clock_timestamp() - last_archived_time)::text as since, last_archived_wal as last,
            (select extract(epoch from clock_timestamp() - min(modification))::text from pg_ls_archive_statusdir() where name like '%.ready') as waiting
       from pg_stat_archiver`,
  );
  const row = rows[0]!;
  if (!row.primary) return [];
  const key = `archive/${database}`;
  if (row.mode === 'off') {
    const text =
      'archive_mode is off: nothing since the last backup could be recovered. Set archive_mode = on in postgresql.conf, and restart the server when it suits.';
    return [{ key, severity: 'critical', title: `no WAL of ${database} is archived`, text }];
  }
  const canary = await readCanary(client);
  const sinceLast = Number(row.since ?? 0);
  // Without commits since then there is nothing to archive, however long ago it was.
  const unarchived = canary ? sinceLast - (Date.now() - Date.parse(canary.ts)) / 1000 : 0;
  const behind = Math.max(Number(row.waiting ?? 0), unarchived);
  if (behind <= rpo) return [];
  return [
    {
      key,
      severity: 'critical',
      title: `the archive of ${database} is ${formatDuration(behind)} behind, more than its RPO of ${formatDuration(rpo)}`,
      text: `If this host were lost now, that much would be lost with it. ${row.failing ? 'archive_command fails' : 'WAL waits to be archived'}; the last segment that was archived is ${row.last ?? 'none'}. The log of the server says why (grep archive). Then: lifeboat doctor`,
    },
  ];
}

/**
 * Standbys that do not stream or are behind; a WAL sender that hears nothing of its standby still shows the last lag
 * that it knew.
 */
async function replicasBehind({ database, context }: Cluster, client: Client, rpo: number): Promise<Alert[]> {
  const standbys = otherHosts(context.plan, database, context.host);
  if (standbys.length === 0) return [];
  const { rows } = await client.query<{ name: string; state: string; lag: string | null }>(
    `select application_name as name, state,
            greatest(extract(epoch from replay_lag), case when replay_lsn < pg_current_wal_lsn() then extract(epoch from clock_timestamp() - reply_time) end)::text as lag
       from pg_stat_replication`,
  );
  return standbys.flatMap((standby): Alert[] => {
    const found = rows.find(({ name }) => name === standby);
    const key = `replication/${database}/${standby}`;
    const next = `Look at the log of the server on ${standby}, and at pg_stat_replication on the primary. Then: lifeboat doctor`;
    if (found?.state !== 'streaming') {
      const is = found ? `it is in state ${found.state}` : 'it is not connected';
      return [
        {
          key,
          severity: 'warning',
          title: `the standby of ${database} on ${standby} does not stream`,
          text: `${is}: it falls behind from now on. ${next}`,
        },
      ];
    }
    const lag = Number(found.lag ?? 0);
    if (lag <= lagAllowed) return [];
    const breach = lag > rpo;
    return [
      {
        key,
        severity: breach ? 'critical' : 'warning',
        title: `the standby of ${database} on ${standby} is ${breach ? `further behind than the RPO of ${formatDuration(rpo)}` : 'more than a minute behind'}`,
        text: `It is ${formatDuration(lag)} behind: that much would be lost if it were promoted now. ${next}`,
      },
    ];
  });
}
