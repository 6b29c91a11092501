import { endianness } from 'node:os';
import { basename, join } from 'node:path';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { bin, type Cluster, dataOwner } from '../postgres/cluster.js';
import { ownFor, readFile, openRegular } from '../files.js';
import { run } from '../run.js';
import { engineOf } from './engines.js';
import { lsnValue } from '../../vocabulary/lsn.js';

export { lsnValue } from '../../vocabulary/lsn.js';

/** Which WAL is archived, on which timelines, and what time it reaches. */

export interface Archive {
  /** Names of all segments at any location (24 hex digits), sorted. */
  segments: string[];
  /** Timelines whose history file is archived. */
  histories: number[];
  /** The size of a segment: 16 MB, unless initdb was told otherwise. */
  segmentBytes: number;
}

export const timelineOf = (segment: string): number => parseInt(segment.slice(0, 8), 16);

/** Lists the archived WAL of these locations together: recovery takes a segment from whichever has it. */
export async function listArchive(cluster: Cluster, locations: string[], segmentBytes: number): Promise<Archive> {
  const segments = new Set<string>();
  const histories = new Set<number>();
  for (const archived of await Promise.all(
    locations.map((location) => engineOf(cluster).archived(cluster, location)),
  )) {
    for (const segment of archived.segments) segments.add(segment);
    for (const timeline of archived.histories) histories.add(timeline);
  }
  return { segments: [...segments].sort(), histories: [...histories].sort((a, b) => a - b), segmentBytes };
}

/**
 * Segments count up to 4 GB of WAL in their last eight digits, whatever their size: 256 of them at PostgreSQL's default
 * of 16 MB.
 */
const perLog = (segmentBytes: number): number => 0x1_0000_0000 / segmentBytes;

/** A segment's place in the stream, whatever its timeline. */
export const numberOf = (segment: string, segmentBytes: number): number =>
  parseInt(segment.slice(8, 16), 16) * perLog(segmentBytes) + parseInt(segment.slice(16), 16);

/** Where a segment begins and ends, as {@link lsnValue} counts. */
export const startOf = (segment: string, segmentBytes: number): bigint =>
  BigInt(numberOf(segment, segmentBytes)) * BigInt(segmentBytes);
export const endOf = (segment: string, segmentBytes: number): bigint =>
  BigInt(numberOf(segment, segmentBytes) + 1) * BigInt(segmentBytes);
export const segmentAt = (timeline: number, number: number, segmentBytes: number): string =>
  [timeline, Math.floor(number / perLog(segmentBytes)), number % perLog(segmentBytes)].map(hex).join('');

const hex = (n: number) => n.toString(16).toUpperCase().padStart(8, '0');

/**
 * A timeline's parents: it left each of them at the LSN that is given. The first line of a history file is the oldest.
 */
export interface Branch {
  timeline: number;
  until: string;
}

/** The history of a timeline, from the data directory or the archive; empty for the first one. */
export async function history(cluster: Cluster, timeline: number, dataDirectory?: string): Promise<Branch[]> {
  if (timeline === 1) return [];
  const name = `${hex(timeline)}.history`;
  const text =
    (dataDirectory && (await readFile(join(dataDirectory, 'pg_wal', name), 'utf8').catch(() => undefined))) ??
    (await withArchived(cluster, name, (path) => readFile(path, 'utf8')));
  return (text || '')
    .split('\n')
    .map((line) => /^\s*(\d+)\s+([0-9A-F]+\/[0-9A-F]+)/.exec(line))
    .filter((match) => match !== null)
    .map((match) => ({ timeline: Number(match[1]), until: match[2]! }));
}

export interface Continuity {
  /** The last segment that recovery can reach without a gap. */
  last: string;
  /** The first one that is missing although later ones are there. */
  gap?: string;
}

/**
 * Follows the archive from the first segment of a backup along the timelines that lead to `timeline`. A hole is where a
 * recovery would end in silence (pgbackrest#632), so it is looked for before anything is stopped. Where a timeline left
 * its parent, either has the segment.
 */
export function follow(archive: Archive, start: string, branches: Branch[], timeline: number): Continuity {
  const { segmentBytes } = archive;
  const have = new Set(archive.segments);
  const path = [
    ...branches.map(({ timeline: parent, until }) => ({
      timeline: parent,
      last: Number(lsnValue(until) / BigInt(segmentBytes)),
    })),
    { timeline, last: Infinity },
  ];
  const parts = path.slice(path.findIndex((part) => part.timeline === timelineOf(start)));
  const found = (number: number) =>
    parts
      .filter((part, at) => number <= part.last && number >= (parts[at - 1]?.last ?? 0))
      .map((part) => segmentAt(part.timeline, number, segmentBytes))
      .filter((segment) => have.has(segment))
      .at(-1);
  let number = numberOf(start, segmentBytes);
  let last = '';
  for (let segment = found(number); segment; segment = found(number)) {
    last = segment;
    number += 1;
  }
  const later = archive.segments.some(
    (segment) => timelineOf(segment) === timeline && numberOf(segment, segmentBytes) > number,
  );
  return later ? { last, gap: segmentAt(timeline, number, segmentBytes) } : { last };
}

/** Whether a file of pg_wal is a segment by its name, and no history, backup label or part of one. */
export const isSegment = (name: string): boolean => /^[0-9A-F]{24}$/.test(name);

/** How the folders begin, in the agent's own state, that hold a file of the archive for a moment. */
export const fetchedPrefix = 'fetched-';

/**
 * Whether a segment of a data directory was written yet. PostgreSQL keeps used segments under the names of those to
 * come: what is in such a one is older WAL, and the address on its first page says so (xlp_pageaddr,
 * src/include/access/xlog_internal.h).
 */
export async function isWritten(path: string): Promise<boolean> {
  const segment = basename(path);
  const file = await openRegular(path);
  try {
    const { size } = await file.stat();
    const { bytesRead, buffer } = await file.read(Buffer.alloc(16), 0, 16, 0);
    const address = endianness() === 'LE' ? buffer.readBigUInt64LE(8) : buffer.readBigUInt64BE(8);
    const named = (BigInt(`0x${segment.slice(8, 16)}`) << 32n) + BigInt(`0x${segment.slice(16)}`) * BigInt(size);
    return bytesRead === 16 && address === named;
  } finally {
    await file.close();
  }
}

/**
 * Fetches a file of the archive into a scratch folder for as long as `read` looks at it. Undefined when it cannot be
 * had.
 */
async function withArchived<T>(
  cluster: Cluster,
  name: string,
  read: (path: string) => Promise<T>,
): Promise<T | undefined> {
  const folder = await mkdtemp(join(cluster.context.state, fetchedPrefix));
  try {
    await ownFor(folder, await dataOwner(cluster));
    const path = join(folder, name);
    return (await engineOf(cluster).fetch(cluster, name, path)) ? await read(path) : undefined;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The time of the last commit in an archived segment; undefined when it has none or cannot be read. */
export async function lastCommitIn(cluster: Cluster, segment: string): Promise<Date | undefined> {
  return withArchived(cluster, segment, (path) => lastCommitOf(cluster, path));
}

/**
 * The time of the last commit that the WAL of a data directory holds, newest segments first: what a server that is down
 * cannot be asked.
 */
export async function lastCommitOnDisk(cluster: Cluster, dataDirectory: string): Promise<Date | undefined> {
  const wal = join(dataDirectory, 'pg_wal');
  const names = (await readdir(wal).catch(() => [])).filter(isSegment).sort().reverse();
  for (const name of names.slice(0, 16)) {
    const found = await lastCommitOf(cluster, join(wal, name));
    if (found) return found;
  }
  return undefined;
}

async function lastCommitOf(cluster: Cluster, path: string): Promise<Date | undefined> {
  const result = await run(await bin(cluster, 'pg_waldump'), ['--rmgr=Transaction', path], {
    owner: await dataOwner(cluster),
    accept: [1],
    env: { TZ: 'UTC' },
  });
  const times = result.lines
    .map((line) => /COMMIT (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)? \w+)/.exec(line)?.[1])
    .filter((time) => time !== undefined);
  const last = times.at(-1);
  return last ? new Date(last) : undefined;
}
