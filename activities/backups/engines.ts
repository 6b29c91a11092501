import { physicalOf } from '../../plan/access.js';
import type { Cluster } from '../postgres/cluster.js';
import type { BackupSet, Engine, RepositoryInfo } from './engine.js';
import { pgBackRest } from './engines/pgbackrest.js';
import { walG } from './engines/wal-g.js';

export type { Engine, RepositoryInfo } from './engine.js';

/** Every engine: one line for each. */
const engines: Record<Engine['name'], Engine> = { pgbackrest: pgBackRest, 'wal-g': walG };

/** The engine that the plan names for a database. */
export function engineOf(cluster: Cluster): Engine {
  const { engine } = physicalOf(cluster.plan);
  return engines[engine];
}

/** The locations of a database in the order of the plan; for a cluster that may use only one, that one. */
export const locationsOf = (cluster: Cluster): string[] =>
  physicalOf(cluster.plan).locations.filter((location) => !cluster.only || location === cluster.only);

export const archiveCommand = (cluster: Cluster): string => engineOf(cluster).archiveCommand(cluster);

/**
 * Lists every backup at every location (or those given), newest first. A location that cannot be read is named, and the
 * others still listed.
 */
export async function repositoryInfo(cluster: Cluster, locations = locationsOf(cluster)): Promise<RepositoryInfo> {
  const info = await engineOf(cluster).info(cluster, locations);
  const order = (backup: BackupSet) => locations.indexOf(backup.location);
  // One run takes a backup at each location, one after the other: they count as equally new, and the plan's order of
  // locations decides.
  const runs = new Map<string, number>();
  const runOf = (backup: BackupSet) => backup.annotations['lifeboat-run'] ?? `${backup.location} ${backup.label}`;
  for (const backup of info.backups) runs.set(runOf(backup), Math.max(backup.stoppedAt, runs.get(runOf(backup)) ?? 0));
  info.backups.sort(
    (a, b) => runs.get(runOf(b))! - runs.get(runOf(a))! || order(a) - order(b) || b.stoppedAt - a.stoppedAt,
  );
  return info;
}
