import type { Cluster } from '../../postgres/cluster.js';
import { allOf, configFile, configPrefix, pushedFolder } from './wal-g-config.js';

/** The commands that PostgreSQL runs itself. No secret is in them. */

/**
 * One location after the other, whichever fails: a segment is archived when it is everywhere, since a success would be a hole at the one that
 * is away. Behind it, wal-push brings later segments to those that answer.
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
 * From whichever location has it. WAL-G ends with 74 when an archive does not have a file, and with 1 for everything else: then nobody knows whether there is more,
 * and with `strict` PostgreSQL is told to end the recovery (a code above 125) instead of taking it for the end of the WAL. A standby must not end
 * for that. Without prefetch: that leaves processes behind which write into the directory.
 * Source: PostgreSQL manual, restore_command; cmd/pg/wal_fetch.go of WAL-G 3.0.7.
 */
export function restoreCommand(cluster: Cluster, { locations = allOf(cluster), strict = false } = {}): string {
  const unsure = strict ? '[ $? -eq 74 ] || code=126; ' : '';
  const fetch = (location: string) =>
    `rm -f "%p"; WALG_DOWNLOAD_CONCURRENCY=1 wal-g --config '${configFile(cluster, location)}' wal-fetch %f "%p" && exit 0; ${unsure}`;
  return `code=1; ${locations.map(fetch).join('')}exit $code`;
}
