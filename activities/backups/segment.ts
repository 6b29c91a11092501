import { endianness } from 'node:os';
import { openRegular } from '../files.js';
import { bin, type Cluster, dataOwner } from '../postgres/cluster.js';
import { run } from '../run.js';
import { lsnValue } from '../../vocabulary/lsn.js';
import { startOf, timelineOf } from './wal.js';

/** What a WAL segment says of itself, and how far it can be read. */

/** Where the last record begins that can be read in a segment, from `start` on; undefined when there is none. */
export async function lastRecord(
  cluster: Cluster,
  path: string,
  start: string | undefined,
): Promise<bigint | undefined> {
  // At the end of a segment it always fails: the last record goes on in the next one, or nothing comes any more.
  const read = await run(await bin(cluster, 'pg_waldump'), [...(start ? [`--start=${start}`] : []), path], {
    ...{ owner: await dataOwner(cluster), accept: [1], discard: true },
  });
  const last = read.lines
    .map((line) => / lsn: ([0-9A-F]+\/[0-9A-F]+), /.exec(line)?.[1])
    .filter((lsn) => lsn !== undefined);
  return last.length > 0 ? lsnValue(last.at(-1)!) : undefined;
}

/**
 * Why a file is not the segment of this cluster that its name says, by its first page; undefined when it is. Which
 * magic a version writes is for pg_waldump to compare: those of all versions begin alike. Source:
 * src/include/access/xlog_internal.h, XLogLongPageHeaderData.
 */
export async function flawOfSegment(
  path: string,
  segment: string,
  systemIdentifier: string,
): Promise<string | undefined> {
  const file = await openRegular(path);
  try {
    const { size } = await file.stat();
    const { buffer, bytesRead } = await file.read(Buffer.alloc(40), 0, 40, 0);
    if (bytesRead < 40) return 'it is too short';
    const little = endianness() === 'LE';
    const u16 = (at: number) => (little ? buffer.readUInt16LE(at) : buffer.readUInt16BE(at));
    const u32 = (at: number) => (little ? buffer.readUInt32LE(at) : buffer.readUInt32BE(at));
    const u64 = (at: number) => (little ? buffer.readBigUInt64LE(at) : buffer.readBigUInt64BE(at));
    if (u16(0) >> 8 !== 0xd1) return 'it is no WAL';
    // A segment in which a timeline begins has the pages of the one before it.
    if (u32(4) > timelineOf(segment)) return `it is of timeline ${u32(4)}`;
    if (u64(24).toString() !== systemIdentifier) return 'it is of another cluster';
    if (u32(32) !== size) return 'it is not whole';
    if (u64(8) !== startOf(segment, size)) return 'it holds another part of the WAL than its name says';
    return undefined;
  } finally {
    await file.close();
  }
}
