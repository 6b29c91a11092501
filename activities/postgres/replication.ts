import { type Cluster, controlData } from './cluster.js';
import { withClient } from './connect.js';

/** What a primary sees of its standbys: host, and whether it streams. */
export const standbyStates = (
  cluster: Cluster,
): Promise<{ name: string; state: string; lagSeconds: number | null }[]> =>
  withClient(cluster, { database: 'postgres' }, async (client) => {
    const { rows } = await client.query<{ name: string; state: string; lag: string | null }>(
      'select application_name as name, state, extract(epoch from replay_lag)::text as lag from pg_stat_replication',
    );
    return rows.map((row) => ({
      name: row.name,
      state: row.state,
      lagSeconds: row.lag === null ? null : Number(row.lag),
    }));
  });

/** The timeline that a running server is on. */
export async function currentTimeline(cluster: Cluster): Promise<number> {
  return withClient(cluster, { database: 'postgres' }, async (client) => {
    await client.query('checkpoint');
    return (await controlData(cluster, cluster.dataDirectory)).timeline;
  });
}
