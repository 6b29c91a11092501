import { readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { failure } from '../errors.js';
import { removeTree, writeWhole } from '../files.js';
import type { Cluster } from './cluster.js';

/**
 * The lock on the target itself, beside the data directory: whatever plan, system or Temporal namespace an incident comes from, only one
 * changes this directory. (A lock on the job alone let two jobs work on one target: rundeck#7169.)
 */
const claimFile = (cluster: Cluster) => join(dirname(cluster.dataDirectory), `.lifeboat-claim-${basename(cluster.dataDirectory)}`);

/** The incident that holds the data directory; undefined when none does. */
export async function claimedBy(cluster: Cluster): Promise<string | undefined> {
  const text = (await readFile(claimFile(cluster), 'utf8').catch(() => '')).trim();
  return text === '' ? undefined : text;
}

/** Takes the data directory for an incident. Throws Busy when another holds it. */
export async function claim(cluster: Cluster, incident: string): Promise<void> {
  const holder = await claimedBy(cluster);
  if (holder === incident) return;
  if (holder) {
    throw failure(
      'Busy',
      `the data directory of ${cluster.database} is held by incident ${holder}`,
      `Close or abort that incident first. If it no longer exists anywhere, remove ${claimFile(cluster)} on ${cluster.context.host}.`,
    );
  }
  await writeWhole(claimFile(cluster), `${incident}\n`);
}

/** Throws Busy unless this incident holds the data directory: nothing is renamed or restored without it. */
export async function demandClaim(cluster: Cluster, incident: string): Promise<void> {
  const holder = await claimedBy(cluster);
  if (holder !== incident) {
    throw failure(
      'Busy',
      `the data directory of ${cluster.database} is held by ${holder ?? 'nobody'}, not by incident ${incident}`,
      'Run the step "Stop writes" first: lifeboat decide retry',
    );
  }
}

export async function releaseClaim(cluster: Cluster, incident: string): Promise<void> {
  if ((await claimedBy(cluster)) === incident) await removeTree(claimFile(cluster));
}
