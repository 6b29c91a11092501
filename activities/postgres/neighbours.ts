import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { formatBytes } from '../../plan/values.js';
import { parseTarget } from '../../plan/target.js';
import { looking } from '../capability.js';
import type { HostContext } from '../context.js';
import { demandRenamable } from '../backups/logical/replace.js';
import { type Cluster, clusterOf } from './cluster.js';
import { type Client, one, withClient } from './connect.js';
import { knownRowsAt } from './known-rows.js';

/**
 * The other databases of a cluster. A restore is of the cluster: they go back with the one that is to (field note 24), and nobody who asks for that
 * one thinks of them.
 */

export interface Neighbour {
  name: string;
  bytes: number;
  /** When a file of it last changed: a write that no checkpoint has brought there yet may be minutes later. Absent where that cannot be seen. */
  changedAt?: string;
  /** Its name in the plan, with its row counts as they were last, and at the target. */
  component?: string;
  rows: { table: string; now: number | null; then: number | null }[];
}

/** `target`: as parseTarget reads it. Every database but the plan's own, the templates, and a `postgres` that holds nothing. */
export async function neighboursOf(cluster: Cluster, client: Client, target: string): Promise<Neighbour[]> {
  const { rows } = await client.query<{ name: string; oid: string; bytes: string; empty: string }>(
    `select datname as name, oid::text, pg_database_size(oid)::text as bytes,
       (select pg_database_size(oid) from pg_database where datname = 'template1')::text as empty
     from pg_database where not datistemplate and datconnlimit <> -2 and datname <> $1 order by datname`,
    [cluster.plan.name],
  );
  const holding = rows.filter(({ name, bytes, empty }) => name !== 'postgres' || Number(bytes) > Number(empty) + 1_000_000);
  const directory = await one<string>(client, `select current_setting('data_directory')`);
  return Promise.all(
    holding.map(async ({ name, oid, bytes }) => {
      const changedAt = directory === undefined ? undefined : await lastChange(join(directory, 'base', oid));
      const component = componentOf(cluster, name);
      return {
        name,
        bytes: Number(bytes),
        ...(changedAt === undefined ? {} : { changedAt }),
        ...(component === undefined ? {} : { component, rows: await rowsOf(cluster, component, target) }),
      };
    }),
  ).then((found) => found.map((one) => ({ rows: [], ...one })));
}

/** The database of the plan that is this one: in the same data directory. */
const componentOf = ({ context, plan }: Cluster, name: string): string | undefined =>
  Object.entries(context.plan.databases).find(
    ([, other]) => other.name === name && JSON.stringify(other.postgres.dataDirectory) === JSON.stringify(plan.postgres.dataDirectory),
  )?.[0];

async function lastChange(directory: string): Promise<string | undefined> {
  let last = 0;
  for (const name of await readdir(directory).catch((): string[] => [])) {
    // Rewritten by connecting alone.
    if (name === 'pg_internal.init') continue;
    last = Math.max(last, (await stat(join(directory, name)).catch(() => ({ mtimeMs: 0 }))).mtimeMs);
  }
  return last === 0 ? undefined : new Date(last).toISOString();
}

/** As the agent noted them: a table is not counted while people wait. */
async function rowsOf({ context }: Cluster, component: string, text: string): Promise<Neighbour['rows']> {
  const cluster = clusterOf(context, component);
  const target = parseTarget(text);
  const last = await knownRowsAt(cluster, new Date());
  const then = target.kind === 'time' ? await knownRowsAt(cluster, new Date(target.iso)) : undefined;
  return Object.entries(last?.counts ?? {}).map(([table, now]) => ({ table, now, then: then?.counts[table] ?? null }));
}

/** One line for each. */
export function neighbourInWords({ name, bytes, changedAt, component, rows }: Neighbour): string {
  const counts = rows.map(({ table, now, then }) => `${table} ${now ?? '?'} rows now${then === null ? '' : `, ${then} then`}`);
  return [
    `${name}${component ? ` (${component} in the plan)` : ''}: ${formatBytes(bytes)}`,
    ...(changedAt === undefined ? [] : [`files last changed ${changedAt}`]),
    ...counts,
  ].join(', ');
}

export interface NeighboursInput {
  database: string;
  incident: string;
  target: string;
}
export interface Neighbours {
  summary: string;
  /** A line for each. */
  lines: string[];
  /** Why the one database cannot be put back by itself; null: it can. */
  notAlone: string | null;
}

/** What else is restored with a database, and whether it could go back alone: the server in place must be sound enough to take it. */
export const lookAtNeighbours = (context: HostContext) =>
  looking<NeighboursInput, Neighbours>(async ({ database, target }) => {
    const cluster = clusterOf(context, database);
    let lines: string[] = [];
    let notAlone: string | null = null;
    try {
      await withClient(cluster, { database: 'postgres' }, async (client) => {
        lines = (await neighboursOf(cluster, client, target)).map(neighbourInWords);
        if (await one<boolean>(client, 'select pg_is_in_recovery()')) notAlone = 'the server in place is in recovery';
        // The catalogs that a new database and its roles are written to.
        await client.query('select count(*) from pg_database; select count(*) from pg_authid; select count(*) from pg_shdepend');
        await client.query('select count(*) from pg_class; select count(*) from pg_attribute; select count(*) from pg_proc');
        await demandRenamable(client, cluster.plan.name);
      });
    } catch (error) {
      notAlone = (error as Error).message;
    }
    const summary = lines.length === 0 ? 'no other database was found in the cluster' : `in the same cluster: ${lines.join('; ')}`;
    return { summary, lines, notAlone };
  });
