import { link, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { checkpoint } from '../checkpoint.js';
import { failure } from '../errors.js';
import { removeTree, readFile } from '../files.js';
import type { Cluster } from './cluster.js';

/**
 * The lock on the target itself, beside the data directory: whatever plan, system or Temporal namespace an incident
 * comes from, only one changes this directory. (A lock on the job alone let two jobs work on one target: rundeck#7169.)
 */
export const claimFile = (cluster: Cluster) =>
  join(dirname(cluster.dataDirectory), `.lifeboat-claim-${basename(cluster.dataDirectory)}`);

/** The incident that holds the data directory; undefined when none does. */
export async function claimedBy(cluster: Cluster): Promise<string | undefined> {
  const text = (await readFile(claimFile(cluster), 'utf8').catch(() => '')).trim();
  return text === '' ? undefined : text;
}

/** Takes the data directory for an incident: of two that come at once, one. Throws Busy when another holds it. */
export async function claim(cluster: Cluster, incident: string): Promise<void> {
  const file = claimFile(cluster);
  const own = `${file}.${incident}`;
  // What a killed attempt left.
  await removeTree(own);
  await checkpoint('before taking the claim');
  await writeFile(own, `${incident}\n`, { flag: 'wx' });
  try {
    await checkpoint('during taking the claim');
    // A link is made whole or not at all, and never over one that is there.
    await link(own, file);
    await checkpoint('after taking the claim');
    return;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    await removeTree(own);
  }
  const holder = await claimedBy(cluster);
  if (holder !== incident) {
    throw failure(
      'Busy',
      `the data directory of ${cluster.database} is held by incident ${holder ?? '(nobody any more)'}`,
      `Close or abort that incident first. If it no longer exists anywhere, remove ${file} on ${cluster.context.host}.`,
    );
  }
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
  if ((await claimedBy(cluster)) !== incident) return;
  await checkpoint('before releasing the claim');
  await removeTree(claimFile(cluster));
  await checkpoint('after releasing the claim');
}
