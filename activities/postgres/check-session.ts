import type { Cluster } from './cluster.js';
import { type Client, type ConnectOptions, withClient } from './connect.js';

/**
 * Runs work in one database, in a session in which nothing that is set on the server, the database or the role shapes
 * what a check sees.
 */
export type CheckSession = <T>(database: string, work: (client: Client) => Promise<T>) => Promise<T>;

/**
 * A check may take hours, but waits for nobody's lock, and ends when we do. Source: PostgreSQL manual,
 * client_connection_check_interval (14).
 */
export async function prepareSession(client: Client): Promise<void> {
  await client.query(`set lock_timeout = '3s'; set client_connection_check_interval = '5s'`);
}

/** Sessions for checks of a cluster, or of the copy behind another socket. */
export const checkSession =
  (cluster: Cluster, options: ConnectOptions = {}): CheckSession =>
  (database, work) =>
    withClient(cluster, { ...options, database, statementTimeout: 0 }, async (client) => {
      await prepareSession(client);
      return work(client);
    });
