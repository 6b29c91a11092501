import { describeTarget, type Target } from '../../plan/target.js';
import { progress } from '../capability.js';
import { failure } from '../errors.js';
import { type Cluster, controlData, defaultSegmentBytes } from '../postgres/cluster.js';
import type { Scratch } from '../postgres/scratch.js';
import type { Candidate } from './candidates.js';
import { damaged } from './damaged.js';
import { repositoryInfo } from './engines.js';
import { fill, type Filled } from './fill.js';
import { type KnownEnd, type KnownPoint } from './known-end.js';
import { reaches } from './lsn.js';
import { askAgain, type Waiting } from './replay.js';

export { canaryKnows } from './known-end.js';

export interface Recovery {
  target: Target;
  scratch: Scratch;
  candidate: Candidate;
  /** Production's data directory: its pg_wal may have what the archive has not. */
  production: string;
  known: KnownEnd;
  /** Writes down, before the copy is promoted, that it ends before what is known. */
  end: (short: string) => Promise<void>;
}

/**
 * A copy waits for WAL that it does not get. True when it may be promoted there: all that is known was replayed, or what is missing is nowhere and was
 * written down. False when a better copy of what it waits for was found, and it goes on. Throws TargetUnreachable when its target lies behind that,
 * BackupDamaged when it is not even consistent there.
 */
export async function endsThere(cluster: Cluster, recovery: Recovery, waiting: Waiting): Promise<boolean> {
  const { target, scratch, candidate, production, known } = recovery;
  const { lsn } = waiting;
  const beyond = known.points.find((point) => lsn === undefined || !reaches(lsn, point.lsn));
  progress({ what: `looking for WAL segment ${waiting.asked.at(-1)} elsewhere` });
  const { segmentBytes } = await controlData(cluster, scratch.directory).catch(() => ({ segmentBytes: defaultSegmentBytes }));
  // Where all that is known was replayed, a server that runs and writes on is not run after.
  const filled = await fill(cluster, scratch, waiting, { production, segmentBytes, archivedOnly: lsn !== undefined && !beyond });
  if (filled.found) {
    await askAgain(cluster, scratch);
    return false;
  }
  if (lsn === undefined) throw damaged(candidate, `${whatIsWrong(waiting, filled)}, and without it the copy is not consistent`);
  if (target.kind === 'latest') {
    if (beyond || filled.cut) await recovery.end(endsShort(cluster, waiting, beyond, filled, await away(cluster)));
    return true;
  }
  const reached = `replay ended at ${lsn}${waiting.at ? `, ${waiting.at}` : ''}`;
  throw failure(
    'TargetUnreachable',
    beyond || filled.cut
      ? `${describeTarget(target)} cannot be reached: ${whatIsWrong(waiting, filled)}: ${reached}`
      : `recovery from ${candidate.label} ended before ${describeTarget(target)}: the WAL does not reach that far; ${reached}`,
    `Choose an earlier target: lifeboat decide restore --to ${waiting.at ?? 'TIME'}`,
    { segment: waiting.asked.at(-1) },
  );
}

function whatIsWrong({ asked, lsn }: Waiting, filled: Filled | undefined): string {
  const segment = asked.at(-1) ?? 'after it';
  if (!filled || filled.had.length === 0) return `WAL segment ${segment} is missing`;
  return `WAL segment ${segment} is damaged${lsn ? ` at ${lsn}` : ''} (${filled.had.join(', ')})`;
}

/** One line for the person who approves. */
export function endsShort(
  cluster: Cluster,
  waiting: Waiting,
  beyond: KnownPoint | undefined,
  filled: Filled | undefined,
  unreadable: string[] = [],
): string {
  const where = `the copy ends at ${waiting.lsn}${waiting.at ? `, its last commit is of ${waiting.at}` : ''}`;
  const knows = beyond
    ? `${beyond.by} knows of WAL up to ${beyond.lsn}${beyond.at ? `, of ${beyond.at}` : ''}`
    : 'the segment goes on after that';
  const notAsked = [...unreadable, ...cluster.plan.postgres.standbys.map((host) => `pg_wal of standby ${host}`)];
  const cause = waiting.asked.length > 0 ? `${whatIsWrong(waiting, filled)}: ` : '';
  return `${cause}${where}, and ${knows}. What was committed in between is not in it${notAsked.length > 0 ? ` (not asked: ${notAsked.join(', ')})` : ''}`;
}

async function away(cluster: Cluster): Promise<string[]> {
  const { unreadable } = await repositoryInfo(cluster);
  return Object.keys(unreadable).map((location) => `location ${location}`);
}
