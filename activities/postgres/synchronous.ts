import { join } from 'node:path';
import pg from 'pg';
import { checkpoint } from '../checkpoint.js';
import { exists, readFile, removeTree, writeWhole } from '../files.js';
import type { Cluster } from './cluster.js';
import { type Client, withClient } from './connect.js';

/**
 * Synchronous replication after a recovery: every commit would wait for a standby that is rebuilt only later, so the
 * demand is set aside until enough standbys stream again. Until then a commit is on the primary alone, which is said.
 * Source: PostgreSQL manual, "Synchronous Replication" and synchronous_standby_names.
 */

interface SetAside {
  value: string;
  /** It stood in postgresql.auto.conf: taking our own line out again would not bring it back. */
  byAlterSystem: boolean;
}

const noteFile = (cluster: Cluster) => join(cluster.context.state, `synchronous-${cluster.database}.json`);

/**
 * Sets synchronous_standby_names aside when its standbys do not stream. Returns its value when it is (or was before)
 * set aside.
 */
export async function setAsideSynchronous(cluster: Cluster): Promise<string | undefined> {
  return withClient(cluster, { database: 'postgres' }, async (client) => {
    const { value, byAlterSystem } = await demanded(client);
    if (value === '') return (await noted(cluster))?.value;
    if ((await streaming(client)) >= needed(value)) return undefined;
    await writeWhole(noteFile(cluster), JSON.stringify({ value, byAlterSystem } satisfies SetAside), {
      what: 'noting the synchronous standbys',
    });
    await client.query(`alter system set synchronous_standby_names = ''`);
    await client.query('select pg_catalog.pg_reload_conf()');
    await checkpoint('after setting synchronous replication aside');
    return value;
  });
}

/** Demands synchronous replication again as soon as enough standbys stream. Returns true when it did. */
export async function bringBackSynchronous(cluster: Cluster): Promise<boolean> {
  const aside = await noted(cluster);
  if (!aside) return false;
  return withClient(cluster, { database: 'postgres' }, async (client) => {
    // A subscriber or pg_receivewal streams, too, and confirms nothing.
    const { rows } = await client.query<{ name: string }>(
      `select pg_catalog.lower(application_name) as name from pg_catalog.pg_stat_replication where state = 'streaming'`,
    );
    const wanted = listed(aside.value);
    if (rows.filter(({ name }) => wanted.includes('*') || wanted.includes(name)).length < needed(aside.value))
      return false;
    await client.query(
      aside.byAlterSystem
        ? `alter system set synchronous_standby_names = ${pg.escapeLiteral(aside.value)}`
        : 'alter system reset synchronous_standby_names',
    );
    await client.query('select pg_catalog.pg_reload_conf()');
    await checkpoint('after demanding synchronous replication again');
    await removeTree(noteFile(cluster));
    return true;
  });
}

export const isSetAside = (cluster: Cluster): Promise<boolean> => exists(noteFile(cluster));

async function demanded(client: Client): Promise<SetAside> {
  const { rows } = await client.query<{ value: string; file: string | null }>(
    `select setting as value, sourcefile as file from pg_catalog.pg_settings where name = 'synchronous_standby_names'`,
  );
  const { value, file } = rows[0]!;
  return { value, byAlterSystem: file?.endsWith('/postgresql.auto.conf') === true };
}

/**
 * How many standbys have to confirm a commit: the number in `FIRST 2 (a, b)`, `ANY 1 (a, b)` and `2 (a, b)`; one in `a,
 * b`.
 */
export const needed = (names: string): number => Number(/^\s*(?:(?:first|any)\s+)?(\d+)\s*\(/i.exec(names)?.[1] ?? 1);

/** The names in it, in small letters, as they are compared. */
export const listed = (names: string): string[] =>
  (/\((.*)\)/.exec(names)?.[1] ?? names).split(',').map((name) =>
    name
      .trim()
      .replace(/^"(.*)"$/, '$1')
      .toLowerCase(),
  );

async function streaming(client: Client): Promise<number> {
  const { rowCount } = await client.query(
    `select from pg_catalog.pg_stat_replication where state = 'streaming' and sync_state in ('sync', 'quorum')`,
  );
  return rowCount ?? 0;
}

async function noted(cluster: Cluster): Promise<SetAside | undefined> {
  const text = await readFile(noteFile(cluster), 'utf8').catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as SetAside);
}
