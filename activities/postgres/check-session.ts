import type { Cluster } from './cluster.js';
import { type Client, type ConnectOptions, withClient } from './connect.js';

/** Runs work in one database, in a session in which nothing that is set on the server, the database or the role shapes what a check sees. */
export type CheckSession = <T>(database: string, work: (client: Client) => Promise<T>) => Promise<T>;

/**
 * A check may take hours, but waits for nobody's lock. Event triggers (against DDL, say) do not fire for it, as for a replica, and it ends
 * when we do. Settings that this version does not have are left out.
 */
const settings: Record<string, string> = {
  default_transaction_read_only: 'off',
  statement_timeout: '0',
  lock_timeout: '3s',
  idle_in_transaction_session_timeout: '0',
  idle_session_timeout: '0',
  transaction_timeout: '0',
  client_connection_check_interval: '5s',
  session_replication_role: 'replica',
  lc_messages: 'C',
  // A damaged page is an error, and not a warning and zeros.
  zero_damaged_pages: 'off',
  ignore_checksum_failure: 'off',
};

export async function prepareSession(client: Client): Promise<void> {
  await client.query('set statement_timeout = 0');
  await client.query(
    `select set_config(s.name, w.setting, false) from json_each_text($1) w(name, setting) join pg_settings s using (name)`,
    [JSON.stringify(settings)],
  );
}

/** Sessions for checks of a cluster, or of the copy behind another socket. */
export const checkSession =
  (cluster: Cluster, options: ConnectOptions = {}): CheckSession =>
  (database, work) =>
    withClient(cluster, { ...options, database, statementTimeout: 0 }, async (client) => {
      await prepareSession(client);
      return work(client);
    });
