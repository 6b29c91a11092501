import type { Cluster } from '../postgres/cluster.js';
import { type Answered, isPromoted, notePromoted } from '../postgres/role.js';
import { failure } from '../errors.js';
import { endOfArchive } from './known-end.js';

/**
 * Demands that a primary which is not the plan's was promoted to its timeline: by what its agent has seen, or since the
 * archive has nothing of that timeline yet. A standby that is a primary because its standby.signal was taken away
 * writes WAL under names that the real primary uses, and whichever of the two archives a name first keeps the other
 * from it. Throws WrongTarget.
 */
export async function demandPromoted(cluster: Cluster, answered: Answered): Promise<void> {
  if (await isPromoted(cluster, answered)) return;
  const { database, context, plan } = cluster;
  const { timeline } = answered;
  // Without an archive there is no name that it could take.
  if (!plan.backups.physical) return notePromoted(cluster, answered);
  const archived = await endOfArchive(cluster);
  if (archived.length > 0 && archived.every((one) => one.timeline < timeline)) return notePromoted(cluster, answered);
  const { primary } = plan.postgres;
  throw failure(
    'WrongTarget',
    `${database} is a primary on ${context.host}, too, on timeline ${timeline}, and was not promoted to it: it writes WAL under the names that ${primary} uses`,
    `Only one may go on. If it is ${context.host}: stop the server on ${primary}, and make it the primary in the plan. If not: stop it, and make it a standby again.`,
  );
}
