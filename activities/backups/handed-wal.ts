import { createWriteStream } from 'node:fs';
import { mkdir, readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { cancelled } from '../capability.js';
import { checkpoint } from '../checkpoint.js';
import { exists, ownFor, removeTree, sha256 } from '../files.js';
import { withLocation } from '../locations/open.js';
import { within } from '../locations/transfer.js';
import { failure } from '../errors.js';
import { type Cluster, controlData, dataOwner } from '../postgres/cluster.js';
import type { Scratch } from '../postgres/scratch.js';
import { decodersFor } from './logical/coding.js';
import { fillFolder } from './replay.js';
import { handedPrefix, type Handed, type StandbyWal } from './standby-wal.js';
import { lsnValue } from '../../vocabulary/lsn.js';
import { flawOfSegment } from './segment.js';
import { isSegment, numberOf, segmentAt, startOf, timelineOf } from './wal.js';

/** What standbys have of the WAL, as the primary's agent works with it: which segments, and what they handed over. */

const folderOf = (cluster: Cluster, scratch: Scratch): string => join(fillFolder(cluster, scratch), 'handed');

const patience = 60_000;

/**
 * Brings what standbys have handed over to this host, and takes it away from the locations. What is not, byte for byte,
 * what the standby had, or not the segment that it is called, is not used: a line for each such one. Done twice, it is
 * done once.
 */
export async function bringHanded(cluster: Cluster, scratch: Scratch, handed: Handed[]): Promise<string[]> {
  const { context, database } = cluster;
  const { systemIdentifier } = await controlData(cluster, scratch.directory);
  const owner = await dataOwner(cluster);
  const not = new Map<string, string>();
  for (const one of handed) {
    const folder = join(folderOf(cluster, scratch), one.host);
    const path = join(folder, one.segment);
    const key = `${one.segment} of standby ${one.host}`;
    if (!isSegment(one.segment) || !one.name.startsWith(handedPrefix(context.plan.system, database))) continue;
    const work = withLocation(context, one.location, async (open) => {
      if (!(await exists(path))) {
        await mkdir(folder, { recursive: true });
        const part = `${path}.part`;
        const body = await open.get(one.name, { signal: cancelled() });
        await pipeline([body, ...(await decodersFor(context, one.location, one.name)), createWriteStream(part)]);
        const flaw =
          (await sha256(part)) === one.sha256
            ? await flawOfSegment(part, one.segment, systemIdentifier)
            : 'it is not what was sent';
        if (flaw === undefined) {
          await ownFor(part, owner);
          await rename(part, path);
        } else {
          not.set(key, `${one.location}: ${flaw}`);
          await removeTree(part);
        }
        await checkpoint('after fetching WAL of a standby');
      }
      await open.remove(one.name);
    });
    const late = () =>
      failure('LocationUnreachable', `nothing came within ${patience / 1000} s`, 'Look at the location.');
    await within(patience, work, late).catch((error: unknown) => {
      if (cancelled()?.aborted) throw error;
      not.set(key, `${one.location}: ${(error as Error).message}`);
    });
    if (await exists(path)) not.delete(key);
  }
  await ownFor(fillFolder(cluster, scratch), owner).catch(() => undefined);
  return [...not].map(([what, why]) => `${what} (${why})`);
}

/** Copies of a segment that standbys have handed over: who, and where. */
export async function handedCopies(
  cluster: Cluster,
  scratch: Scratch,
  segment: string,
): Promise<{ place: string; path: string }[]> {
  const folder = folderOf(cluster, scratch);
  const hosts = await readdir(folder).catch((): string[] => []);
  const copies = hosts.map((host) => ({ place: `standby ${host}`, path: join(folder, host, segment) }));
  const there = await Promise.all(copies.map(({ path }) => exists(path)));
  return copies.filter((_, at) => there[at]);
}

/** So many segments are handed over at a time. */
const atOnce = 16;
/** A list that a workflow gives is no reason to count for ever. */
const most = 100_000;

/** The names of the segments that standbys of this very cluster have. */
export function segmentsOf(has: StandbyWal[], segmentBytes: number): string[] {
  const found = new Set<string>();
  for (const { timeline, ranges } of has)
    for (const [first, last] of ranges)
      for (
        let number = numberOf(first, segmentBytes);
        number <= numberOf(last, segmentBytes) && found.size < most;
        number += 1
      )
        found.add(segmentAt(timeline, number, segmentBytes));
  return [...found].sort();
}

/**
 * What standbys are to hand over: of what a replay waits for, what one of them has and was not asked for yet; and what
 * follows it and is in no archive, since the replay would ask for that next.
 */
export function wantedOf(
  asked: string[],
  of: { has: StandbyWal[]; before: string[]; archived: string[]; segmentBytes: number },
): string[] {
  const { has, before, archived, segmentBytes } = of;
  const there = segmentsOf(has, segmentBytes);
  const [known, done] = [new Set(there), new Set([...before, ...archived])];
  const wanted = asked.filter((segment) => known.has(segment) && !before.includes(segment));
  const last = wanted.at(-1);
  if (last === undefined) return [];
  const next = there.filter(
    (segment) =>
      timelineOf(segment) === timelineOf(last) &&
      startOf(segment, segmentBytes) > startOf(last, segmentBytes) &&
      !done.has(segment),
  );
  return [...wanted, ...next.slice(0, atOnce - 1)];
}

/** What standbys know of the end of a timeline. */
export const pointsOf = (has: StandbyWal[], timeline: number): { lsn: string; by: string }[] =>
  has
    .filter((one) => one.timeline === timeline)
    .map(({ host, lsn }) => ({ lsn, by: `standby ${host}` }))
    .sort((a, b) => (lsnValue(a.lsn) < lsnValue(b.lsn) ? 1 : -1));
