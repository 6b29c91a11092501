import { formatBytes } from '../../vocabulary/units.js';
import type { Alert } from '../../vocabulary/alert.js';
import type { BackupRecord } from '../../vocabulary/backup.js';
import type { HostContext } from '../context.js';
import { withLocation } from '../locations/open.js';

const leastFree = 0.1;

/**
 * A location that is near full: below a tenth free, or too little for two more of the newest whole backup there.
 * Buckets have no end.
 */
export async function nearFull(context: HostContext, location: string, backups: BackupRecord[]): Promise<Alert[]> {
  const space = await withLocation(context, location, (open) => open.space());
  if (!space) return [];
  const whole = backups.filter(
    (one) => one.location === location && !['differential', 'incremental', 'unknown'].includes(one.type),
  );
  // Of each component the newest: they are all taken again.
  const newest = new Map<string, BackupRecord>();
  for (const one of whole) {
    const component = `${one.kind} ${one.component}`;
    if (one.timestamp > (newest.get(component)?.timestamp ?? '')) newest.set(component, one);
  }
  const largest = Math.max(0, ...[...newest.values()].map(({ size }) => size));
  const tenth = space.free < space.total * leastFree;
  if (!tenth && space.free >= 2 * largest) return [];
  const why = tenth
    ? `that is ${Math.floor((space.free / space.total) * 100)}%`
    : `the newest full backup takes ${formatBytes(largest)}, and two must have room`;
  return [
    {
      key: `space/${location}`,
      severity: space.free < largest ? 'critical' : 'warning',
      title: `location ${location} is near full`,
      text: `${formatBytes(space.free)} of ${formatBytes(space.total)} are free as seen from ${context.host}: ${why}. When it is full, backups fail and WAL piles up beside the database. See what would go: lifeboat backup cleanup --dry-run; or give it more room.`,
    },
  ];
}
