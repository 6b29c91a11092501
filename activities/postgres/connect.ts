import pg from 'pg';
import { cancelled } from '../capability.js';
import { codeOf, failure, isFailure } from '../errors.js';
import type { Owner } from '../run.js';
import { closedSocket } from './closed-socket.js';
import { type Cluster, dataOwner, passwordOf } from './cluster.js';
import { asStream, connectedBy } from './peer-socket.js';
import { type Limits, newClient, settle } from './session.js';

export interface ConnectOptions {
  /** Name in the cluster; the plan's by default. */
  database?: string;
  /** Where its socket is; the plan's by default. */
  socketDirectory?: string;
  /** Milliseconds that one statement may take; a minute by default, 0 for no limit. */
  statementTimeout?: number;
  /**
   * Milliseconds that one statement may wait for a lock; a minute by default, 0 for no limit: somebody may never give
   * it up.
   */
  lockTimeout?: number;
}

export type Client = pg.Client;

/**
 * Connects as Lifeboat's own user over the local socket, runs `work`, and closes.
 * Throws ServerFailed when there is no connection to be had; errors of SQL come as they are.
 */
export async function withClient<T>(
  cluster: Cluster,
  options: ConnectOptions,
  work: (client: Client) => Promise<T>,
): Promise<T> {
  const signal = cancelled();
  signal?.throwIfAborted();
  const client = await connect(cluster, options);
  const end = () => void endSession(cluster, options, client);
  signal?.addEventListener('abort', end);
  try {
    return await work(client);
  } finally {
    signal?.removeEventListener('abort', end);
    await client.end().catch(() => undefined);
  }
}

/** What runs for a cancelled activity ends on the server too: it may hold locks, and go on for hours. */
async function endSession(cluster: Cluster, options: ConnectOptions, client: Client): Promise<void> {
  const { processID } = client as unknown as { processID: number | null };
  const other = await connect(cluster, { ...options, database: 'postgres' }).catch(() => undefined);
  await other?.query('select pg_terminate_backend($1)', [processID]).catch(() => undefined);
  await other?.end().catch(() => undefined);
}

/** The same, for who closes it later. */
export async function connect(cluster: Cluster, options: ConnectOptions = {}): Promise<Client> {
  for (let left = 5; ; left -= 1) {
    try {
      return await connectOnce(cluster, options);
    } catch (error) {
      // A short idle_session_timeout of the server ended it before it could be told ours: a busy host.
      if (codeOf(error) !== idleSessionTimeout || left === 0) throw error;
    }
  }
}

/** Source: PostgreSQL, Appendix A, idle_session_timeout. */
const idleSessionTimeout = '57P05';

async function connectOnce(cluster: Cluster, options: ConnectOptions): Promise<Client> {
  let client: Client | undefined;
  try {
    client = await dial(cluster.plan.postgres.password ? undefined : await dataOwner(cluster), {
      host: options.socketDirectory ?? (await closedSocket(cluster)) ?? cluster.socketDirectory,
      port: cluster.port,
      user: cluster.plan.postgres.user,
      password: await passwordOf(cluster),
      database: options.database ?? cluster.plan.name,
      connectionTimeoutMillis: 5000,
      statementTimeout: options.statementTimeout ?? 60_000,
      lockTimeout: options.lockTimeout ?? 60_000,
    });
    await client.connect();
    await settle(client);
    return client;
  } catch (error) {
    await client?.end().catch(() => undefined);
    const { code = '', message } = error as { code?: string; message: string };
    throw failure(
      'ServerFailed',
      `no connection to ${cluster.database} on ${cluster.context.host}: ${message}`,
      hintFor(cluster, code),
      {
        code,
      },
    );
  }
}

/**
 * A client that is not connected yet, for peer authentication: its socket is one that this user connected, where that
 * is not ourselves. Rejects as connect(2) does.
 */
export async function dial(owner: Owner | undefined, config: pg.ClientConfig & Limits): Promise<Client> {
  if (!owner || !config.host?.startsWith('/')) return newClient(config);
  const socket = await connectedBy(
    owner,
    `${config.host}/.s.PGSQL.${config.port}`,
    config.connectionTimeoutMillis ?? 5000,
  );
  return newClient({ ...config, stream: () => asStream(socket) });
}

function hintFor({ plan, database, context }: Cluster, code: string): string {
  const { user, port } = plan.postgres;
  if (code === '3D000')
    return `Correct databases.${database}.name in the plan: the server has no database ${plan.name}.`;
  if (code === '28P01') return `Correct what databases.${database}.postgres.password refers to.`;
  if (code.startsWith('28'))
    return `Let ${user} in over the socket by a "local" line of pg_hba.conf, or give its password in the plan.`;
  return `Is the server running on ${context.host}, and are port (${JSON.stringify(port)}) and socketDirectory right in the plan?`;
}

/** True when a connection is accepted now. */
export async function answers(cluster: Cluster, options: ConnectOptions = {}): Promise<boolean> {
  return withClient(cluster, { ...options, database: 'postgres' }, () => Promise.resolve(true)).catch(() => false);
}

/**
 * Why a server that runs lets nobody in, when it is damage that keeps it from it (a catalog that cannot be read);
 * undefined otherwise.
 */
export async function tooDamagedToConnect(cluster: Cluster): Promise<string | undefined> {
  try {
    await withClient(cluster, { database: 'postgres' }, (client) => client.query('select 1'));
    return undefined;
  } catch (error) {
    const { code = '' } = isFailure(error, 'ServerFailed')
      ? (error.details![0] as { code: string })
      : (error as { code?: string });
    // Classes of SQLSTATE: XX, internal error and data corrupted; 58, a file that cannot be read. Not: starting up,
    // refused, wrong password.
    return /^(XX|58)/.test(code) ? (error as Error).message : undefined;
  }
}

/** The one value of a query's one row. */
export async function one<T>(client: Client, sql: string, parameters: unknown[] = []): Promise<T | undefined> {
  const { rows } = await client.query<unknown[]>({ text: sql, values: parameters, rowMode: 'array' });
  return rows[0]?.[0] as T | undefined;
}

/** `public.orders` for `orders`, each part quoted. */
export function quoteTable(table: string): string {
  const parts = table.includes('.') ? table.split('.') : ['public', table];
  return parts.map((part) => pg.escapeIdentifier(part)).join('.');
}
