import type { HostContext } from '../context.js';
import { clusterOf } from '../postgres/cluster.js';
import type { BackupListing, BackupRecord } from '../../workflows/messages.js';
import { failure } from '../errors.js';
import { backupPhysical, verifyPhysical } from './backup.js';
import { type BackupSet, repositoryInfo } from './pgbackrest.js';
import type { BackupProvider } from './provider.js';

const types = { full: 'full', diff: 'differential', incr: 'incremental' } as const;

/** Base backups and WAL by the engine of the plan. */
export const physical: BackupProvider = {
  kind: 'physical',
  take: backupPhysical,
  verify: verifyPhysical,
  async list(context: HostContext, component: string): Promise<BackupListing> {
    const cluster = clusterOf(context, component);
    const info = await repositoryInfo(cluster);
    return { backups: info.backups.map((backup) => recordOf(context, component, cluster.plan.name, backup)), unreadable: info.unreadable };
  },
  testRestore: () => ({ rehearse: notYet, execute: notYet }),
  remove: notYet,
};

function notYet(): never {
  throw failure('BadRequest', 'not built yet', 'Use another kind of backup.');
}

function recordOf({ plan }: HostContext, component: string, database: string, backup: BackupSet): BackupRecord {
  return {
    id: backup.label,
    system: plan.system,
    kind: 'physical',
    component,
    type: types[backup.type],
    timestamp: new Date(backup.stoppedAt * 1000).toISOString(),
    database,
    location: backup.location,
    size: backup.repositoryBytes,
    dataBytes: backup.databaseBytes,
    compression: 'zstd',
    encryption: plan.locations[backup.location]!.encryption ? 'pgbackrest' : 'none',
    files: [],
    tools: {},
    seconds: backup.stoppedAt - backup.startedAt,
    wal: { start: backup.walStart, stop: backup.walStop },
    run: backup.annotations['lifeboat-run'] ?? '',
    ...(backup.pageErrors
      ? {
          damaged: { at: new Date(backup.stoppedAt * 1000).toISOString(), why: 'pgBackRest found damaged pages while it took this backup' },
        }
      : {}),
  };
}
