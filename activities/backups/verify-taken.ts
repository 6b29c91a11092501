import { progress } from '../capability.js';
import { checkpoint } from '../checkpoint.js';
import { failure, isFailure } from '../errors.js';
import type { Cluster } from '../postgres/cluster.js';
import type { BackupSet } from './engine.js';
import { stopIfCancelled } from './all-locations.js';
import { engineOf, repositoryInfo } from './engines.js';
import { note } from './physical-records.js';
import { verifyAt } from './verify-physical.js';

/**
 * A location with no more in it is read whole after each backup; it takes seconds, or a few minutes over a slow line.
 */
const little = 2 * 1024 ** 3;

/**
 * Verifies a backup that was just taken: its own files, where the engine can read one alone; else everything at its
 * location, after a full one or where there is little. What remains has its manifest read back, and is verified with
 * the next full one or by the schedule of verifications. Throws BackupDamaged when it is not whole, and notes that.
 * `says`: why it could not be verified although it should be.
 */
export async function verifyTaken(cluster: Cluster, backup: BackupSet): Promise<{ verified: boolean; says: string[] }> {
  const { label, location } = backup;
  progress({ what: `verifying ${label} at ${location}` });
  try {
    if (await engineOf(cluster).readBack(cluster, location, label)) return { verified: true, says: [] };
    if (backup.type !== 'full' && (await bytesAt(cluster, location)) >= little) return { verified: false, says: [] };
    await checkpoint('before verifying what was taken');
    const { sound, damaged } = await verifyAt(cluster, location, true);
    const own = damaged.find(({ id }) => id === label);
    if (own)
      throw failure(
        'BackupDamaged',
        `${label} is damaged at ${location}, just after it was taken: ${own.why}${own.file ? `: ${own.file}` : ''}`,
        'Look at the disk or the store; another one is taken at the next time of the schedule.',
      );
    return { verified: sound.includes(label), says: [] };
  } catch (error) {
    stopIfCancelled(error);
    if (isFailure(error, 'BackupDamaged')) {
      await note(cluster, backup, { damaged: { at: new Date().toISOString(), why: error.message } }).catch(
        () => undefined,
      );
      throw error;
    }
    return {
      verified: false,
      says: [`${location}: ${label} was taken, and could not be verified: ${(error as Error).message}`],
    };
  }
}

async function bytesAt(cluster: Cluster, location: string): Promise<number> {
  const { backups } = await repositoryInfo(cluster, [location]);
  const { bytes } = await engineOf(cluster).archived(cluster, location);
  return backups.reduce((sum, { ownBytes }) => sum + ownBytes, bytes);
}
