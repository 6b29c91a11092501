import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { writeWhole, readFile } from '../files.js';
import type { Cluster } from './cluster.js';
import { withClient } from './connect.js';

/**
 * Logical replication writes without a session that pg_hba.conf could refuse: what a subscription brings in after the
 * fence would be counted as received at its publisher, and lost with the damaged copy.
 */
interface Subscription {
  database: string;
  name: string;
}

const noteFile = (cluster: Cluster) => join(cluster.context.state, `paused-subscriptions-${cluster.database}.json`);

/**
 * Disables every enabled subscription of the cluster, and writes down which, for {@link resumeSubscriptions}. Returns
 * their names.
 */
export async function pauseSubscriptions(cluster: Cluster): Promise<string[]> {
  const enabled = await withClient(cluster, { database: 'postgres' }, async (client) => {
    const { rows } = await client.query<Subscription>(
      'select d.datname as database, s.subname as name from pg_subscription s join pg_database d on d.oid = s.subdbid where s.subenabled',
    );
    return rows;
  });
  if (enabled.length === 0) return [];
  const before = await noted(cluster);
  const all = [
    ...before,
    ...enabled.filter((one) => !before.some((other) => other.name === one.name && other.database === one.database)),
  ];
  await writeWhole(noteFile(cluster), JSON.stringify(all), { what: 'noting the subscriptions' });
  await alter(cluster, enabled, 'disable');
  return enabled.map(({ name }) => name);
}

/**
 * Enables what was paused and is still there. A restored copy has its subscriptions as they were when it was backed up.
 */
export async function resumeSubscriptions(cluster: Cluster): Promise<void> {
  const paused = await noted(cluster);
  if (paused.length === 0) return;
  await alter(cluster, paused, 'enable');
  await rm(noteFile(cluster), { force: true });
}

async function alter(cluster: Cluster, subscriptions: Subscription[], to: 'enable' | 'disable'): Promise<void> {
  for (const { database, name } of subscriptions) {
    await withClient(cluster, { database }, async (client) => {
      const { rowCount } = await client.query('select from pg_subscription where subname = $1', [name]);
      if (rowCount) await client.query(`alter subscription ${pg.escapeIdentifier(name)} ${to}`);
    });
  }
}

async function noted(cluster: Cluster): Promise<Subscription[]> {
  return JSON.parse(await readFile(noteFile(cluster), 'utf8').catch(() => '[]')) as Subscription[];
}
