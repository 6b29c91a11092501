import { join } from 'node:path';
import type { Observation, Role } from '../../vocabulary/topology.js';
import { looking } from '../capability.js';
import type { HostContext } from '../context.js';
import { exists, readFile, writeWhole } from '../files.js';
import { type Cluster, clusterOf, controlData } from './cluster.js';
import { type Client, withClient } from './connect.js';
import { postmasterPid } from './server.js';

/** What the server of a database is on this host: asked of it while it runs, read from its files while it does not. */

/** On this host, while the database's own agent looks: what it was, for a time when neither server nor files say it. */
interface Noted {
  role: Role;
  systemIdentifier: string;
  timeline: number;
  /** ISO 8601. */
  at: string;
  /** The timeline that it followed last as a standby. */
  followed?: number;
  /** The timeline that it was promoted to. */
  promoted?: number;
}

const file = (cluster: Cluster) => join(cluster.context.state, `role-${cluster.database}.json`);

const readNoted = async (cluster: Cluster): Promise<Noted | undefined> => {
  const text = await readFile(file(cluster), 'utf8').catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as Noted);
};

/** What a server that answers says of itself. */
export interface Answered extends Observation {
  server: 'up';
  role: Role;
  systemIdentifier: string;
  timeline: number;
}

/**
 * Asks a server. The control file's timeline is that of the last checkpoint, which a promotion does not wait for: a
 * primary is asked for the segment that it writes, a standby for what it receives.
 */
export async function askRole(client: Client): Promise<Answered> {
  const { rows } = await client.query<{ standby: boolean; system: string; timeline: string; lsn: string | null }>(
    `select standby, (select system_identifier::text from pg_control_system()) as system,
            case when standby
                 then greatest((select received_tli from pg_stat_wal_receiver), (select timeline_id from pg_control_checkpoint()))::text
                 else substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) end as timeline,
            case when standby then greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())::text
                 else pg_current_wal_insert_lsn()::text end as lsn
       from pg_is_in_recovery() as standby`,
  );
  const { standby, system, timeline, lsn } = rows[0]!;
  const role = standby ? ('standby' as const) : ('primary' as const);
  const number = parseInt(timeline, standby ? 10 : 16);
  return { server: 'up', role, systemIdentifier: system, timeline: number, ...(lsn === null ? {} : { lsn }) };
}

/** Looks at the database on this host. Never throws. */
export async function observe(cluster: Cluster): Promise<Observation> {
  try {
    const answered = await withClient(cluster, { database: 'postgres', statementTimeout: 5000 }, askRole);
    const stray = answered.role === 'primary' && cluster.plan.postgres.primary !== cluster.context.host;
    return stray ? { ...answered, promoted: await isPromoted(cluster, answered) } : answered;
  } catch (error) {
    const server = (await postmasterPid(cluster.dataDirectory)) === undefined ? 'down' : 'unclear';
    return { server, ...(await byFiles(cluster)), why: (error as Error).message };
  }
}

/** What a server was when it ran last. Source: PostgreSQL manual, pg_controldata; standby.signal. */
async function byFiles(cluster: Cluster): Promise<Partial<Observation>> {
  const control = await controlData(cluster, cluster.dataDirectory).catch(() => undefined);
  const { role, systemIdentifier, timeline } = (await readNoted(cluster).catch(() => undefined)) ?? {};
  if (!control) return role ? { role, systemIdentifier: systemIdentifier!, timeline: timeline! } : {};
  const follows = /recovery/.test(control.state) && control.state !== 'in crash recovery';
  const standby = follows || (await exists(join(cluster.dataDirectory, 'standby.signal')));
  return {
    role: standby ? 'standby' : 'primary',
    systemIdentifier: control.systemIdentifier,
    // A promotion that had no checkpoint yet.
    timeline: Math.max(control.timeline, systemIdentifier === control.systemIdentifier ? timeline! : 0),
  };
}

/** For workflows: {@link observe}. */
export const observeDatabase = (context: HostContext) =>
  looking<{ database: string }, Observation>(({ database }) => observe(clusterOf(context, database)));

/** Notes what a server is; nothing is written where nothing has changed. */
export async function noteRole(cluster: Cluster, { role, systemIdentifier, timeline }: Answered): Promise<void> {
  const before = await readNoted(cluster).catch(() => undefined);
  const same = before?.systemIdentifier === systemIdentifier;
  if (same && before.role === role && before.timeline === timeline) return;
  const followed = role === 'standby' ? timeline : same ? before.followed : undefined;
  const promoted =
    role === 'primary' && followed !== undefined && timeline > followed
      ? timeline
      : same && role === 'primary'
        ? before.promoted
        : undefined;
  const noted: Noted = {
    ...{ role, systemIdentifier, timeline, at: new Date().toISOString() },
    ...(followed === undefined ? {} : { followed }),
    ...(promoted === undefined ? {} : { promoted }),
  };
  await writeWhole(file(cluster), JSON.stringify(noted));
}

/** Whether it is the plan's primary, or was seen to be promoted to the timeline that it is on. */
export async function isPromoted(cluster: Cluster, { timeline, systemIdentifier }: Answered): Promise<boolean> {
  if (cluster.plan.postgres.primary === cluster.context.host) return true;
  const noted = await readNoted(cluster).catch(() => undefined);
  return noted?.systemIdentifier === systemIdentifier && noted.promoted === timeline;
}

/** It was promoted before its agent was there. */
export async function notePromoted(cluster: Cluster, { role, systemIdentifier, timeline }: Answered): Promise<void> {
  const at = new Date().toISOString();
  const noted: Noted = { role, systemIdentifier, timeline, at, followed: timeline - 1, promoted: timeline };
  await writeWhole(file(cluster), JSON.stringify(noted));
}
