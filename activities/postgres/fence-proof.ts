import pg from 'pg';
import { hostAddress } from '../../plan/access.js';
import { checkpoint } from '../checkpoint.js';
import { failure } from '../errors.js';
import type { Cluster } from './cluster.js';
import { type Client, connect, withClient } from './connect.js';
import { pauseSubscriptions } from './subscriptions.js';

/**
 * Proving that a database which only its pg_hba.conf closes takes no writes: by what is refused, and by who is still
 * there.
 */

/** A session that was open before the fence, to prove on it that nothing can be committed any more. */
export async function openProbe(cluster: Cluster): Promise<pg.Client | undefined> {
  return connect(cluster).catch(() => undefined);
}

export interface FenceProof {
  sessionsEnded: number;
  /** Workers of extensions that were ended and come back only with the server. */
  workersEnded: string[];
  proofs: string[];
}

/** Whether a session that was open before the fence can still write. */
export const stillWrites = (probe: pg.Client): Promise<boolean> =>
  probe.query('create temporary table lifeboat_probe()').then(
    () => true,
    () => false,
  );

export const sessionWrites = () =>
  failure(
    'FenceFailed',
    'a session that was open before the fence can still write',
    'Find it in pg_stat_activity and end it, then: lifeboat decide retry',
  );

/**
 * Ends every client session and every subscription's worker, and proves the fence: a new session is refused over the
 * socket and over TCP, an existing one can no longer commit, and nobody is left who could write. Throws FenceFailed
 * when any of it does not hold.
 */
export async function proveFence(cluster: Cluster, probe: pg.Client | undefined): Promise<FenceProof> {
  const proofs: string[] = [];
  await untilClosed(cluster);
  const paused = await pauseSubscriptions(cluster);
  if (paused.length > 0) proofs.push(`paused subscriptions: ${paused.join(', ')}`);
  const { sessions, workers } = await endSessions(cluster);
  await checkpoint('after ending the sessions');
  if (probe) {
    if (await stillWrites(probe)) throw sessionWrites();
    proofs.push('a session that was open before can no longer write');
  }
  proofs.push(
    await refused(cluster, cluster.socketDirectory),
    await refused(cluster, hostAddress(cluster.context.plan, cluster.context.host)),
  );
  proofs.push('no client session is left');
  return { sessionsEnded: sessions, workersEnded: workers, proofs };
}

/** A reload is asked for by a signal and takes a moment: wait until the server itself refuses whom it let in before. */
async function untilClosed(cluster: Cluster): Promise<void> {
  await withClient(cluster, { database: 'postgres' }, async (client) => {
    let why = '';
    for (let left = 100; left > 0; left -= 1) {
      const answer = await refused(cluster, cluster.socketDirectory).catch((error: unknown) => error as Error);
      if (typeof answer === 'string') return;
      why = answer.message;
      await client.query('select pg_reload_conf()');
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw failure(
      'FenceFailed',
      `${cluster.database} still lets connections in although its pg_hba.conf is closed: ${why}`,
      'Look for the error in its log (a reload that failed), then: lifeboat decide retry',
    );
  });
}

/**
 * PostgreSQL's own (and a standby's walsender, which is in no database), none of which writes rows by itself once no
 * session and no subscription is left.
 */
const harmless = [
  'autovacuum launcher',
  'autovacuum worker',
  'logical replication launcher',
  'background writer',
  'checkpointer',
  'startup',
  'walreceiver',
  'walwriter',
  'walsummarizer',
  'archiver',
  'logger',
  'slotsync worker',
  'io worker',
  'standalone backend',
];

async function endSessions(cluster: Cluster): Promise<{ sessions: number; workers: string[] }> {
  return withClient(cluster, { database: 'postgres' }, async (client) => {
    const ended = new Set<number>();
    const workers = new Set<string>();
    let others: { pid: number; kind: string }[] = [];
    for (let left = 100; left > 0; left -= 1) {
      others = await whoCouldWrite(client);
      if (others.length === 0) return { sessions: ended.size, workers: [...workers] };
      for (const { pid, kind } of others) {
        if (kind === 'client backend') ended.add(pid);
        else workers.add(kind);
        await client.query('select pg_terminate_backend($1)', [pid]);
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw failure(
      'FenceFailed',
      `who could write comes back or does not end: ${[...new Set(others.map(({ kind }) => kind))].join(', ')}`,
      'Stop it by hand (an extension that runs workers: take it out of shared_preload_libraries), then: lifeboat decide retry; or, when you know that it does not write: lifeboat decide done --reason "..."',
    );
  });
}

/** Sessions, and workers of extensions, that could write rows. `own`: a session of Lifeboat. */
export async function whoCouldWrite(client: Client): Promise<{ pid: number; kind: string; own: boolean }[]> {
  const { rows } = await client.query<{ pid: number; kind: string; own: boolean }>(
    `select pid, coalesce(backend_type, 'unknown') as kind, application_name = 'lifeboat' as own from pg_catalog.pg_stat_activity
     where pid <> pg_backend_pid() and coalesce(backend_type, '') <> all ($1)
       and not (coalesce(backend_type, '') = 'walsender' and datid is null) and coalesce(backend_type, '') not like 'parallel worker%'`,
    [harmless],
  );
  return rows;
}

/** A role that is not Lifeboat's own must be refused by pg_hba.conf itself, whatever its password would be. */
async function refused(cluster: Cluster, host: string): Promise<string> {
  const overSocket = host.startsWith('/');
  const client = new pg.Client({
    host,
    port: cluster.port,
    user: overSocket ? 'lifeboat_stranger' : cluster.plan.postgres.user,
    password: 'not-needed-to-be-refused',
    database: cluster.plan.name,
    connectionTimeoutMillis: 3000,
    ssl: false,
  });
  client.on('error', () => undefined);
  const where = overSocket ? 'over the socket' : 'over the network';
  try {
    await client.connect();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    // 28000 also says that the role does not exist, once pg_hba.conf would have let it in: only its own words are a
    // refusal by the file.
    if (code === '28000' && /pg_hba\.conf/.test(message)) return `a new session is refused ${where}`;
    if (!overSocket && code === 'ECONNREFUSED') return 'it does not listen on the network';
    // No server has answered (every answer has an SQLSTATE): no route, no name, a firewall, a time-out. Nobody gets in
    // there from here.
    if (!overSocket && !/^(?!E)[0-9A-Z]{5}$/.test(code ?? ''))
      return `it cannot be reached over the network from here (${code ?? message})`;
    throw failure(
      'FenceFailed',
      `a new session ${where} was not refused as it should be: ${message}`,
      'Look at pg_hba.conf on the host, then: lifeboat decide retry',
    );
  } finally {
    await client.end().catch(() => undefined);
  }
  throw failure(
    'FenceFailed',
    `a new session ${where} was let in`,
    'Look at pg_hba.conf on the host, then: lifeboat decide retry',
  );
}
