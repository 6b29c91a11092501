import { join } from 'node:path';
import { cancelled } from '../capability.js';
import { readFile, writeWhole } from '../files.js';
import type { Cluster } from './cluster.js';

/**
 * Whether a restore to scratch has held on this host: a plan that no restore works with looks as good as any other
 * until then.
 */
export interface Proof {
  /** ISO 8601. */
  at: string;
  /** Why the last one did not; absent: it was restored, verified, and started with production's own configuration. */
  failed?: string;
}

const file = ({ context, database }: Cluster) => join(context.state, `restore-proof-${database}.json`);

/** What came of the last restore; undefined when none was tried on this host. */
export async function readProof(cluster: Cluster): Promise<Proof | undefined> {
  const text = await readFile(file(cluster), 'utf8').catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as Proof);
}

const write = (cluster: Cluster, proof: Proof) => writeWhole(file(cluster), JSON.stringify(proof));

/**
 * Notes what comes of a step of a restore. `whole`: with it, the restore has held, unless `doubt` finds in its result
 * why production would not come back. Throws what `work` throws.
 */
export async function proving<T>(
  cluster: Cluster,
  work: () => Promise<T>,
  whole?: { doubt: (result: T) => string | undefined },
): Promise<T> {
  try {
    const result = await work();
    if (whole) {
      const failed = whole.doubt(result);
      await write(cluster, { at: new Date().toISOString(), ...(failed === undefined ? {} : { failed }) });
    }
    return result;
  } catch (error) {
    // One that was told to end says nothing.
    if (!cancelled()?.aborted)
      await write(cluster, { at: new Date().toISOString(), failed: (error as Error).message }).catch(() => undefined);
    throw error;
  }
}
