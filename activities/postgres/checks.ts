import type { RowCheck } from '../../vocabulary/component.js';
import type { DatabasePlan } from '../../plan/schema.js';
import { type Client, one, quoteTable } from './connect.js';
import { withTheirPath } from './session.js';
import { isDamage } from './sqlstate.js';

/** The plan's own checks: rows of named tables, and queries with the value that a healthy database gives. */

/** What is asked is in the plan of the database. */
type Planned = { plan: DatabasePlan };

/**
 * Exact row counts of the plan's named tables; null for a table that is missing or cannot be read. Errors: by table, as
 * they came.
 */
export async function countRows(
  cluster: Planned,
  client: Client,
): Promise<{ counts: Record<string, number | null>; errors: Record<string, unknown> }> {
  const counts: Record<string, number | null> = {};
  const errors: Record<string, unknown> = {};
  for (const table of Object.keys(cluster.plan.verify.rows)) {
    try {
      counts[table] = Number(await one<string>(client, `select count(*) from ${quoteTable(table)}`));
    } catch (error) {
      counts[table] = null;
      errors[table] = error;
    }
  }
  return { counts, errors };
}

/**
 * Compares counts with the last known ones: a table may lose no more rows than the plan allows, and may not be missing.
 */
export function compareRows(
  cluster: Planned,
  counts: Record<string, number | null>,
  known: Record<string, number | null> | undefined,
): RowCheck[] {
  return Object.entries(cluster.plan.verify.rows).map(([table, { maxDrop }]) => {
    const expected = known?.[table] ?? null;
    const found = counts[table] ?? null;
    const ok = found !== null && (expected === null || found >= expected * (1 - (maxDrop ?? 0)));
    return { table, expected, found, ok };
  });
}

/**
 * Runs the plan's queries; returns a sentence for each that did not give its value, and the error of each that failed.
 */
export async function askQueries(
  cluster: Planned,
  client: Client,
): Promise<{ wrong: string[]; failed: { says: string; error: unknown }[] }> {
  const wrong: string[] = [];
  const failed: { says: string; error: unknown }[] = [];
  for (const [at, { sql, expect }] of cluster.plan.verify.queries.entries()) {
    try {
      const value = await withTheirPath(client, () => one<unknown>(client, sql));
      if (String(value) !== String(expect))
        wrong.push(`query ${at + 1} of the plan gives ${String(value)}, not ${String(expect)}`);
    } catch (error) {
      failed.push({ says: `query ${at + 1} of the plan`, error });
    }
  }
  return { wrong, failed };
}

/** The same in sentences alone. */
export async function runQueries(cluster: Planned, client: Client): Promise<string[]> {
  const { wrong, failed } = await askQueries(cluster, client);
  return [...wrong, ...failed.map(({ says, error }) => `${says} fails: ${(error as Error).message}`)];
}

/**
 * Reads the catalog of a database from end to end; returns a sentence for each part of it that is damaged. Whatever
 * else keeps it from being read is thrown as it came.
 */
export async function readCatalog(client: Client): Promise<string[]> {
  const wrong: string[] = [];
  for (const table of [
    'pg_class',
    'pg_attribute',
    'pg_index',
    'pg_type',
    'pg_proc',
    'pg_constraint',
    'pg_depend',
    'pg_authid',
  ]) {
    // The hash reads every row through the heap, not through an index that may be the damaged part.
    await client.query(`select count(*), sum(hashtext(t::text)) from pg_catalog.${table} t`).catch((error: unknown) => {
      if (!isDamage(error)) throw error;
      wrong.push(`catalog ${table} cannot be read: ${(error as Error).message}`);
    });
  }
  return wrong;
}
