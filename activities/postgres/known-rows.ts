import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import { checkpoint } from '../checkpoint.js';
import type { Cluster } from './cluster.js';
import { withClient } from './connect.js';
import { countRows } from './checks.js';
import { writeWhole, readFile } from '../files.js';

/**
 * The row counts that a restored copy is compared with. The agent takes them every quarter of an hour and with each
 * backup, and keeps them outside the database: what is damaged cannot be asked what it was.
 */
export interface KnownRows {
  at: string;
  counts: Record<string, number | null>;
}

const file = (cluster: Cluster) => join(cluster.context.state, `known-rows-${cluster.database}.jsonl`);
const kept = 3000;

/** Counts now, and writes it down. Nothing is written for a database that cannot be counted. */
export async function takeKnownRows(cluster: Cluster): Promise<KnownRows | undefined> {
  if (Object.keys(cluster.plan.verify.rows).length === 0) return undefined;
  const at = new Date().toISOString();
  const { counts } = await withClient(cluster, { statementTimeout: 30_000 }, (client) => countRows(cluster, client));
  await appendFile(file(cluster), `${JSON.stringify({ at, counts })}\n`);
  await checkpoint('after noting the rows');
  const lines = (await readFile(file(cluster), 'utf8')).split('\n').filter(Boolean);
  if (lines.length > kept) await writeWhole(file(cluster), `${lines.slice(-kept / 2).join('\n')}\n`);
  return { at, counts };
}

/**
 * For each table the newest count that was taken at or before a moment. A count that failed (null) is passed over: the
 * table may have been damaged by then.
 */
export async function knownRowsAt(cluster: Cluster, moment: Date): Promise<KnownRows | undefined> {
  const lines = (await readFile(file(cluster), 'utf8').catch(() => '')).split('\n').filter(Boolean);
  let found: KnownRows | undefined;
  for (const line of lines) {
    const sample = parse(line);
    if (!sample || Date.parse(sample.at) > moment.getTime()) continue;
    const counts = Object.fromEntries(Object.entries(sample.counts).filter(([, count]) => count !== null));
    found = { at: sample.at, counts: { ...found?.counts, ...counts } };
  }
  return found;
}

/** A crash can leave half a line at the end. */
function parse(line: string): KnownRows | undefined {
  try {
    return JSON.parse(line) as KnownRows;
  } catch {
    return undefined;
  }
}
