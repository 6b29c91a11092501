import type { HostContext } from '../context.js';
import { backupClusterOf } from '../postgres/cluster.js';
import type { BackupListing } from '../../vocabulary/backup.js';
import { backupPhysical } from './backup.js';
import { locationsOf, repositoryInfo } from './engines.js';
import { merged, recordsOf } from './physical-records.js';
import type { BackupProvider } from './provider.js';
import { expirablePhysical, removePhysical } from './retention.js';
import { testRestorePhysical } from '../recovery/test-physical.js';
import { verifyPhysical } from './verify-physical.js';

/**
 * Base backups and WAL by the engine of the plan. What is there, the engine says; its records add when it was verified
 * and restored.
 */
export const physical: BackupProvider = {
  kind: 'physical',
  take: backupPhysical,
  verify: verifyPhysical,
  async list(context: HostContext, component: string): Promise<BackupListing> {
    const cluster = backupClusterOf(context, component);
    const { backups, unreadable } = await repositoryInfo(cluster);
    const records = await recordsOf(
      cluster,
      locationsOf(cluster).filter((location) => !(location in unreadable)),
    );
    return {
      backups: backups.map((backup) => merged(cluster, backup, records.get(backup.location)?.get(backup.label))),
      unreadable,
    };
  },
  testRestore: testRestorePhysical,
  remove: removePhysical,
  expirable: expirablePhysical,
};
