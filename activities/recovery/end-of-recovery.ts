import { endOfArchive } from '../backups/known-end.js';
import { reaches } from '../../vocabulary/lsn.js';
import { readCanary } from '../postgres/canary.js';
import type { Cluster } from '../postgres/cluster.js';
import { one, withClient } from '../postgres/connect.js';
import { isBehind, readLastKnown } from '../postgres/last-known.js';
import { askRole } from '../postgres/role.js';

/**
 * Whether production has all that it is known to have committed. A server that starts after a crash replays its WAL as
 * far as it can read it, and opens: what comes after a damaged segment is gone, and no page tells. So where it stands
 * is compared with its last canary, the archive and the slots of its standbys. Returns a line for each that knows of
 * more; the server must run.
 */
export async function missingSince(cluster: Cluster): Promise<string[]> {
  const last = await readLastKnown(cluster);
  const archived = await endOfArchive(cluster).catch(() => []);
  return withClient(cluster, { database: 'postgres' }, async (client) => {
    const { role, timeline, systemIdentifier, ...at } = await askRole(client);
    if (role === 'standby') return [];
    const lsn = at.lsn!;
    const upSince = (await one<Date>(client, 'select pg_postmaster_start_time()'))!;
    const slot = await one<string>(client, 'select max(restart_lsn)::text from pg_replication_slots');
    const found: string[] = [];
    if (last?.timeline === timeline && last.systemIdentifier === systemIdentifier) {
      const canary = await withClient(cluster, {}, readCanary).catch(() => undefined);
      const gone =
        last.setBack ??
        (isBehind({ lsn, seq: canary?.seq }, last, upSince) ? { ...last, goesOnFrom: canary?.lsn ?? lsn } : undefined);
      if (gone)
        found.push(
          `the server came up with less than it had: it went on from about ${gone.goesOnFrom}, and had committed up to ${gone.lsn} at ${gone.at}. ` +
            'What was committed in between is gone from it',
        );
    }
    const segment = archived.filter((one) => one.timeline === timeline).find((one) => !reaches(lsn, one.lsn));
    if (segment)
      found.push(
        `the archive has ${segment.segment} of its timeline, whole, and the server is at ${lsn}, before its end: what was in it is gone from it`,
      );
    if (slot && !reaches(lsn, slot))
      found.push(
        `a standby has received WAL up to ${slot}, and the server is at ${lsn}: what lies between is gone from it`,
      );
    return found;
  });
}
