import { join } from 'node:path';
import { describeTarget, type Target } from '../../vocabulary/target.js';
import { progress } from '../capability.js';
import { failure } from '../errors.js';
import { type Cluster, controlData, defaultSegmentBytes } from '../postgres/cluster.js';
import type { Scratch } from '../postgres/scratch.js';
import type { Candidate } from './candidates.js';
import { damaged } from './damaged.js';
import { repositoryInfo } from './engines.js';
import { fill, type Filled } from './wal-fill.js';
import { wantedOf } from './handed-wal.js';
import { archivedSegments, type KnownEnd, type KnownPoint, writtenIn } from './known-end.js';
import { reaches } from '../../vocabulary/lsn.js';
import { askAgain, type Waiting } from './replay.js';
import type { StandbyWal } from './standby-wal.js';

export { canaryKnows } from './known-end.js';

export interface Recovery {
  target: Target;
  scratch: Scratch;
  candidate: Candidate;
  /** Production's data directory: its pg_wal may have what the archive has not. */
  production: string;
  known: KnownEnd;
  /** What its standbys have, what they handed over was asked of them already, and what could not be asked. */
  standbys: { has: StandbyWal[]; asked: string[]; not: string[] };
  /** Writes down, before the copy is promoted, that it ends before what is known. */
  end: (short: string) => Promise<void>;
}

/** A standby has what a replay waits for, and is to hand it over: the copy waits on. */
export class WantedOfStandbys extends Error {
  constructor(readonly segments: string[]) {
    super(`standbys have ${segments.join(', ')}`);
    this.name = 'WantedOfStandbys';
  }
}

/**
 * A copy waits for WAL that it does not get. True when it may be promoted there: all that is known was replayed, or
 * what is missing is nowhere and was written down. False when a better copy of what it waits for was found, and it goes
 * on. Throws TargetUnreachable when its target lies behind that, BackupDamaged when it is not even consistent there,
 * WantedOfStandbys when one of those has it.
 */
export async function endsThere(cluster: Cluster, recovery: Recovery, waiting: Waiting): Promise<boolean> {
  const { target, scratch, candidate, production, known } = recovery;
  const { lsn } = waiting;
  const beyond = known.points.find((point) => lsn === undefined || !reaches(lsn, point.lsn));
  progress({ what: `looking for WAL segment ${waiting.asked.at(-1)} elsewhere` });
  const { segmentBytes } = await controlData(cluster, scratch.directory).catch(() => ({
    segmentBytes: defaultSegmentBytes,
  }));
  // Where all that is known was replayed, a server that runs and writes on is not run after.
  const filled = await fill(cluster, scratch, waiting, {
    production,
    segmentBytes,
    archivedOnly: lsn !== undefined && !beyond,
  });
  if (filled.found) {
    await askAgain(cluster, scratch);
    return false;
  }
  // Of a standby that is a follower of a server that writes on, nothing is wanted where all that is known was replayed.
  if (lsn === undefined || beyond || filled.cut) await demandOfStandbys(cluster, recovery, waiting, segmentBytes);
  if (lsn === undefined)
    throw damaged(candidate, `${whatIsWrong(waiting, filled)}, and without it the copy is not consistent`);
  if (target.kind === 'latest') {
    if (beyond || filled.cut) await recovery.end(endsShort(recovery, waiting, beyond, filled, await away(cluster)));
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

async function demandOfStandbys(
  cluster: Cluster,
  { standbys, production }: Recovery,
  waiting: Waiting,
  segmentBytes: number,
): Promise<void> {
  const { has, asked: before } = standbys;
  if (has.length === 0) return;
  const archived = [
    ...(await archivedSegments(cluster, segmentBytes)),
    ...(await writtenIn(join(production, 'pg_wal'))),
  ];
  const wanted = wantedOf(waiting.asked, { has, before, archived, segmentBytes });
  if (wanted.length > 0) throw new WantedOfStandbys(wanted);
}

function whatIsWrong({ asked, lsn }: Waiting, filled: Filled | undefined): string {
  const segment = asked.at(-1) ?? 'after it';
  if (!filled || filled.had.length === 0) return `WAL segment ${segment} is missing`;
  return `WAL segment ${segment} is damaged${lsn ? ` at ${lsn}` : ''} (${filled.had.join(', ')})`;
}

/** One line for the person who approves. */
export function endsShort(
  { standbys }: Pick<Recovery, 'standbys'>,
  waiting: Waiting,
  beyond: KnownPoint | undefined,
  filled: Filled | undefined,
  unreadable: string[] = [],
): string {
  const where = `the copy ends at ${waiting.lsn}${waiting.at ? `, its last commit is of ${waiting.at}` : ''}`;
  const knows = beyond
    ? `${beyond.by} knows of WAL up to ${beyond.lsn}${beyond.at ? `, of ${beyond.at}` : ''}`
    : 'the segment goes on after that';
  const notAsked = [...unreadable, ...standbys.not];
  const cause = waiting.asked.length > 0 ? `${whatIsWrong(waiting, filled)}: ` : '';
  return `${cause}${where}, and ${knows}. What was committed in between is not in it${notAsked.length > 0 ? ` (not asked: ${notAsked.join(', ')})` : ''}`;
}

async function away(cluster: Cluster): Promise<string[]> {
  const { unreadable } = await repositoryInfo(cluster);
  return Object.keys(unreadable).map((location) => `location ${location}`);
}
