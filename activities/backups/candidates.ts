import { join } from 'node:path';
import type { Target } from '../../vocabulary/target.js';
import { type Cluster, controlData, defaultSegmentBytes } from '../postgres/cluster.js';
import type { BackupRecord } from '../../vocabulary/backup.js';
import type { BackupSet } from './engine.js';
import { locationsOf, repositoryInfo } from './engines.js';
import { segmentsOf } from './handed-wal.js';
import { writtenIn } from './known-end.js';
import { productionTimeline } from './production-timeline.js';
import { readable, recordsOf } from './physical-records.js';
import type { StandbyWal } from './standby-wal.js';
import {
  type Archive,
  type Branch,
  endOf,
  follow,
  history,
  lastCommitIn,
  lastCommitOnDisk,
  listArchive,
  lsnValue,
  timelineOf,
} from './wal.js';
import { withClient } from '../postgres/connect.js';
import { readCanary } from '../postgres/canary.js';

/** A backup that can reach the target. */
export interface Candidate {
  label: string;
  location: string;
  takenAt: string;
  databaseBytes: number;
  /** The timeline that recovery must follow. */
  timeline: number;
}

export interface Candidates {
  candidates: Candidate[];
  /** A line for each backup and location that was passed over. */
  passedOver: string[];
}

/**
 * Which backups can reach the target, the newest first and each in the order of the plan's locations, and why the
 * others cannot. With `proven`, neither one that was found damaged counts when there is no other, nor WAL that is not
 * archived.
 * Source: field-notes, "Target": backup stop < target < last archived commit, WAL contiguous, timeline history there.
 */
export async function findCandidates(
  cluster: Cluster,
  target: Target,
  dataDirectory: string,
  {
    heedRecords = true,
    proven = false,
    standbys = [],
  }: { heedRecords?: boolean; proven?: boolean; standbys?: StandbyWal[] } = {},
): Promise<Candidates> {
  const [info, control] = await Promise.all([
    repositoryInfo(cluster),
    controlData(cluster, dataDirectory).catch(() => undefined),
  ]);
  const answering = locationsOf(cluster).filter((location) => !(location in info.unreadable));
  // A location whose records cannot be read is used all the same: a recovery does not depend on them.
  const [archive, records] = await Promise.all([
    listArchive(cluster, answering, control?.segmentBytes ?? defaultSegmentBytes),
    recordsOf(cluster, heedRecords ? answering : []),
  ]);
  const timeline = await productionTimeline(cluster, { target, control, archive, dataDirectory });
  // What the archive has lost and production or a standby still has is no hole: a recovery takes it from there. A test
  // of one location is helped by nothing else.
  if (!cluster.only && !cluster.scratchOnly && !proven) {
    const own = await writtenIn(join(dataDirectory, 'pg_wal'));
    const theirs = segmentsOf(
      standbys.filter((one) => control === undefined || one.systemIdentifier === control.systemIdentifier),
      archive.segmentBytes,
    );
    archive.segments = [...new Set([...archive.segments, ...own, ...theirs])].sort();
  }
  const branches = await history(cluster, timeline, dataDirectory);
  const passedOver = Object.entries(info.unreadable).map(
    ([location, why]) => `location ${location} cannot be read: ${why}`,
  );
  const candidates: Candidate[] = [];
  const reach = new Map<string, Promise<Date | undefined>>();
  const reachOf = (segment: string) => {
    if (!reach.has(segment)) reach.set(segment, lastCommitIn(cluster, segment));
    return reach.get(segment)!;
  };
  const doubtful: Candidate[] = [];
  for (const backup of info.backups) {
    const known = knownDamage(records.get(backup.location)?.get(backup.label));
    const why = known ?? (await whyNot(backup, target, { archive, branches, timeline, reachOf }));
    if (why) passedOver.push(`${backup.label} at ${backup.location}: ${why}`);
    if (!why) candidates.push(candidateOf(backup, timeline));
    else if (known && !(await whyNot(backup, target, { archive, branches, timeline, reachOf })))
      doubtful.push(candidateOf(backup, timeline));
  }
  // A record is no proof: when nothing else is left they are tried, and the restore compares every checksum itself.
  if (candidates.length === 0 && !proven) candidates.push(...doubtful);
  return { candidates, passedOver };
}

const candidateOf = (backup: BackupSet, timeline: number): Candidate => ({
  label: backup.label,
  location: backup.location,
  takenAt: new Date(backup.stoppedAt * 1000).toISOString(),
  databaseBytes: backup.databaseBytes,
  timeline,
});

/** Found by an earlier verification; the next one that finds it whole takes that back. */
const knownDamage = (record: BackupRecord | undefined): string | undefined =>
  readable(record)?.damaged && `it was found damaged at ${record!.damaged!.at}: ${record!.damaged!.why}`;

interface Known {
  archive: Archive;
  branches: Branch[];
  timeline: number;
  reachOf: (segment: string) => Promise<Date | undefined>;
}

async function whyNot(
  backup: BackupSet,
  target: Target,
  { archive, branches, timeline, reachOf }: Known,
): Promise<string | undefined> {
  if (backup.pageErrors) return 'damaged pages were found in the database while it was taken';
  if (target.kind === 'backup' && backup.label !== target.label) return 'not the backup that was asked for';
  const own = timelineOf(backup.walStart);
  const parent = branches.find((branch) => branch.timeline === own);
  if (own !== timeline && !parent)
    return `it is on timeline ${own}, which does not lead to timeline ${timeline} of the database`;
  if (parent && lsnValue(backup.lsnStop) > lsnValue(parent.until))
    return `it ended after timeline ${own} was left at ${parent.until}`;
  if (target.kind === 'time' && Date.parse(target.iso) <= backup.stoppedAt * 1000) return 'it ended after the target';
  if (target.kind === 'lsn' && lsnValue(target.lsn) <= lsnValue(backup.lsnStop)) return 'it ended after the target';
  const continuity = follow(archive, backup.walStart, branches, timeline);
  if (continuity.last === '' || continuity.last.slice(8) < backup.walStop.slice(8))
    return `the WAL that it needs is not archived: ${continuity.gap ?? backup.walStop} is missing`;
  if (target.kind === 'backup' || !continuity.gap) return undefined;
  if (target.kind === 'latest')
    return `the WAL after it has a gap: ${continuity.gap} is missing, and recovery would end there in silence`;
  if (target.kind === 'lsn' && lsnValue(target.lsn) < endOf(continuity.last, archive.segmentBytes)) return undefined;
  const reached = await reachOf(continuity.last);
  if (target.kind === 'time' && reached && Date.parse(target.iso) <= reached.getTime()) return undefined;
  const until = reached ? `; it reaches ${reached.toISOString()}` : '';
  return `the WAL between it and the target has a gap: ${continuity.gap} is missing${until}`;
}

/**
 * The last moment at which production is known to have committed: its canary, or what its WAL says, whichever is later.
 */
export async function lastKnownCommit(cluster: Cluster, dataDirectory: string): Promise<Date | undefined> {
  const [canary, onDisk] = await Promise.all([
    withClient(cluster, {}, readCanary).catch(() => undefined),
    lastCommitOnDisk(cluster, dataDirectory).catch(() => undefined),
  ]);
  const moments = [canary && Date.parse(canary.ts), onDisk?.getTime()].filter((moment) => moment !== undefined);
  return moments.length > 0 ? new Date(Math.max(...moments)) : undefined;
}
