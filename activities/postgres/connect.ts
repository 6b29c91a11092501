import pg from 'pg';
import { failure } from '../errors.js';
import { type Cluster, passwordOf } from './cluster.js';

export interface ConnectOptions {
  /** Name in the cluster; the plan's by default. */
  database?: string;
  /** Where its socket is; the plan's by default. */
  socketDirectory?: string;
  /** Milliseconds that one statement may take; a minute by default, 0 for no limit. */
  statementTimeout?: number;
}

export type Client = pg.Client;

/**
 * Connects as Lifeboat's own user over the local socket, runs `work`, and closes.
 * Throws ServerFailed when there is no connection to be had; errors of SQL come as they are.
 */
export async function withClient<T>(cluster: Cluster, options: ConnectOptions, work: (client: Client) => Promise<T>): Promise<T> {
  const client = await connect(cluster, options);
  try {
    return await work(client);
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** The same, for who closes it later. */
export async function connect(cluster: Cluster, options: ConnectOptions = {}): Promise<Client> {
  const client = new pg.Client({
    host: options.socketDirectory ?? cluster.socketDirectory,
    port: cluster.port,
    user: cluster.plan.postgres.user,
    password: await passwordOf(cluster),
    database: options.database ?? cluster.plan.name,
    application_name: 'lifeboat',
    connectionTimeoutMillis: 5000,
    statement_timeout: options.statementTimeout ?? 60_000,
  });
  // A connection that is cut (we end sessions for a living) must not end this process.
  client.on('error', () => undefined);
  try {
    await client.connect();
    return client;
  } catch (error) {
    await client.end().catch(() => undefined);
    throw failure(
      'ServerFailed',
      `no connection to ${cluster.database} on ${cluster.context.host}: ${(error as Error).message}`,
      "Is the server running there, and may Lifeboat's user connect? Check: lifeboat doctor",
    );
  }
}

/** True when a connection is accepted now. */
export async function answers(cluster: Cluster, options: ConnectOptions = {}): Promise<boolean> {
  return withClient(cluster, { ...options, database: 'postgres' }, () => Promise.resolve(true)).catch(() => false);
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
