import type { Cluster } from '../../postgres/cluster.js';
import { allOf, configFile, configPrefix, pushedFolder } from './wal-g-config.js';

/** The commands that PostgreSQL runs itself. No secret is in them. */

/**
 * One location after the other, whichever fails: a segment is archived when it is everywhere, since a success would be
 * a hole at the one that is away. Behind it, wal-push brings later segments to those that answer.
 */
export function archiveCommand(cluster: Cluster): string {
  const push = (location: string) =>
    `PGDATA='${pushedFolder(cluster, location)}' wal-g --config '${configFile(cluster, location)}' wal-push "%p"`;
  const locations = allOf(cluster);
  if (locations.length === 1) return push(locations[0]!);
  return `failed=0; ${locations.map((location) => `${push(location)} || failed=1; `).join('')}exit $failed`;
}

/** Of another place of its configuration, it is still ours; of another database, it is somebody else's WAL-G. */
export const isOurs = (cluster: Cluster, command: string): boolean =>
  /\bwal-g --config .* wal-push "%p"/.test(command) && command.includes(`/wal-g/${configPrefix(cluster)}`);

/**
 * From whichever location has it. A copy that is recovered waits where it gets nothing more, so it is of no matter why
 * one does not give it. Without prefetch: that leaves processes behind which write into the directory.
 */
export function restoreCommand(cluster: Cluster, { locations = allOf(cluster) } = {}): string {
  const fetch = (location: string) =>
    `rm -f "%p"; WALG_DOWNLOAD_CONCURRENCY=1 wal-g --config '${configFile(cluster, location)}' wal-fetch %f "%p" && exit 0; `;
  return `${locations.map(fetch).join('')}exit 1`;
}
