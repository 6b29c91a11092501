import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { formatBytes } from '../../vocabulary/units.js';
import { looking } from '../capability.js';
import type { HostContext } from '../context.js';
import { demandRenamable } from '../backups/logical/replace.js';
import { type Cluster, clusterOf } from '../postgres/cluster.js';
import { type Client, one, withClient } from '../postgres/connect.js';

/**
 * The other databases of a cluster. A restore is of the cluster: they go back with the one that is to (field note 24),
 * and nobody who asks for that one thinks of them.
 */

export interface Neighbour {
  name: string;
  bytes: number;
  /**
   * When a file of it last changed: a write that no checkpoint has brought there yet may be minutes later. Absent where
   * that cannot be seen.
   */
  changedAt?: string;
  /** As the server's statistics have them; absent where nobody gets in. */
  tables?: { count: number; rows: number };
}

/**
 * Every database but the plan's own, the templates, and a `postgres` that holds nothing. `client`: of the server in
 * place.
 */
export async function neighboursOf(cluster: Cluster, client: Client): Promise<Neighbour[]> {
  const { rows } = await client.query<{ name: string; oid: string; bytes: string; empty: string; open: boolean }>(
    `select datname as name, oid::text, pg_database_size(oid)::text as bytes, datallowconn as open,
       (select pg_database_size(oid) from pg_database where datname = 'template1')::text as empty
     from pg_database where not datistemplate and datconnlimit <> -2 and datname <> $1 order by datname`,
    [cluster.plan.name],
  );
  const holding = rows.filter(
    ({ name, bytes, empty }) => name !== 'postgres' || Number(bytes) > Number(empty) + 1_000_000,
  );
  const directory = await one<string>(client, `select current_setting('data_directory')`);
  const found: Neighbour[] = [];
  for (const { name, oid, bytes, open } of holding) {
    const changedAt = directory === undefined ? undefined : await lastChange(join(directory, 'base', oid));
    const tables = open ? await tablesOf(cluster, name) : undefined;
    found.push({
      name,
      bytes: Number(bytes),
      ...(changedAt === undefined ? {} : { changedAt }),
      ...(tables ? { tables } : {}),
    });
  }
  return found;
}

/** A table is not counted while people wait, nor is anything of the application's run. */
async function tablesOf(cluster: Cluster, database: string): Promise<Neighbour['tables']> {
  return withClient(cluster, { database, statementTimeout: 10_000 }, async (client) => {
    const { rows } = await client.query<{ count: number; rows: number }>(
      `select count(*)::int as count, coalesce(sum(greatest(pg_catalog.pg_stat_get_live_tuples(c.oid), c.reltuples::int8, 0)), 0)::float8 as rows
       from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
       where c.relkind = 'r' and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'`,
    );
    return rows[0];
  }).catch(() => undefined);
}

async function lastChange(directory: string): Promise<string | undefined> {
  let last = 0;
  for (const name of await readdir(directory).catch((): string[] => [])) {
    // Rewritten by connecting alone.
    if (name === 'pg_internal.init') continue;
    last = Math.max(last, (await stat(join(directory, name)).catch(() => ({ mtimeMs: 0 }))).mtimeMs);
  }
  return last === 0 ? undefined : new Date(last).toISOString();
}

/** One line for each. */
export function neighbourInWords({ name, bytes, changedAt, tables }: Neighbour): string {
  return [
    `${name}: ${formatBytes(bytes)}`,
    ...(tables ? [`about ${tables.rows} rows in ${tables.count} ${tables.count === 1 ? 'table' : 'tables'} now`] : []),
    ...(changedAt === undefined ? [] : [`files last changed ${changedAt}`]),
  ].join(', ');
}

export interface NeighboursInput {
  database: string;
  incident: string;
}
export interface Neighbours {
  summary: string;
  /** A line for each. */
  lines: string[];
  /** Why the one database cannot be put back by itself; null: it can. */
  notAlone: string | null;
}

/**
 * What else is restored with a database, and whether it could go back alone: the server in place must be sound enough
 * to take it.
 */
export const lookAtNeighbours = (context: HostContext) =>
  looking<NeighboursInput, Neighbours>(async ({ database }) => {
    const cluster = clusterOf(context, database);
    let lines: string[] = [];
    let notAlone: string | null = null;
    try {
      await withClient(cluster, { database: 'postgres' }, async (client) => {
        lines = (await neighboursOf(cluster, client)).map(neighbourInWords);
        if (await one<boolean>(client, 'select pg_is_in_recovery()')) notAlone = 'the server in place is in recovery';
        // The catalogs that a new database and its roles are written to.
        await client.query(
          'select count(*) from pg_database; select count(*) from pg_authid; select count(*) from pg_shdepend',
        );
        await client.query(
          'select count(*) from pg_class; select count(*) from pg_attribute; select count(*) from pg_proc',
        );
        await demandRenamable(client, cluster.plan.name);
      });
    } catch (error) {
      notAlone = (error as Error).message;
    }
    const summary =
      lines.length === 0 ? 'no other database was found in the cluster' : `in the same cluster: ${lines.join('; ')}`;
    return { summary, lines, notAlone };
  });
