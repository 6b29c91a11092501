import { type Cluster, controlData } from '../postgres/cluster.js';
import { currentTimeline } from '../postgres/replication.js';
import type { Check } from '../../vocabulary/check.js';
import { type Candidate, findCandidates } from './candidates.js';
import type { BackupSet } from './engine.js';
import { repositoryInfo } from './engines.js';
import { lsnValue } from '../../vocabulary/lsn.js';
import { history, timelineOf } from './wal.js';

/**
 * The backups that are proven to lead to production as it is now, newest first: on its timeline, with all WAL since in
 * the archive, and not known to be damaged. After a roll-back the newest backup may be of a copy that was given up.
 * None where that cannot be told.
 */
export async function leadingToNow(cluster: Cluster): Promise<Candidate[]> {
  const found = await findCandidates(cluster, { kind: 'latest' }, cluster.dataDirectory, { proven: true }).catch(
    () => undefined,
  );
  return found?.candidates ?? [];
}

/**
 * Why what is based on the newest backup of a location would be worth nothing: production has left its timeline.
 * Undefined when it can be a base, or there is none. The server must run.
 */
export async function noBase(cluster: Cluster, location: string): Promise<string | undefined> {
  const { backups } = await repositoryInfo(cluster, [location]);
  const [newest] = backups.sort((a, b) => b.stoppedAt - a.stoppedAt);
  if (!newest) return undefined;
  const timeline = await currentTimeline(cluster);
  const own = timelineOf(newest.walStart);
  if (own === timeline) return undefined;
  const parent = (await history(cluster, timeline, cluster.dataDirectory)).find((branch) => branch.timeline === own);
  if (parent && lsnValue(newest.lsnStop) <= lsnValue(parent.until)) return undefined;
  return `the newest one there is on timeline ${own}, and the database on ${timeline}`;
}

/**
 * Whether WAL may be expired: the engines compare the names of segments, in which the timeline comes first. That is
 * right only while later backups have later names, and the newest of them leads to now; after a roll-back it would take
 * the WAL that the newest backup needs.
 */
export function walIsInOrder(backups: BackupSet[], leading: Candidate[]): boolean {
  const byTime = [...backups].sort((a, b) => a.stoppedAt - b.stoppedAt);
  const newest = byTime.at(-1);
  const ascending = byTime.every(({ walStart }, at) => at === 0 || byTime[at - 1]!.walStart <= walStart);
  return (
    ascending &&
    newest !== undefined &&
    leading.some(({ label, location }) => label === newest.label && location === newest.location)
  );
}

/** For the doctor: a database whose every backup leads elsewhere is not protected, however new they are. */
export async function leadsCheck(cluster: Cluster): Promise<string | Pick<Check, 'result' | 'says' | 'hint'>> {
  await controlData(cluster, cluster.dataDirectory);
  const { candidates, passedOver } = await findCandidates(cluster, { kind: 'latest' }, cluster.dataDirectory, {
    proven: true,
  });
  const [first] = candidates;
  if (first) return `${first.label} at ${first.location} leads to now`;
  return {
    result: 'fail',
    says: `no backup leads to the database as it is now: ${passedOver.slice(0, 3).join('; ') || 'there is none'}`,
    hint: 'Take one: lifeboat backup create --full',
  };
}
