import { rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { checkpoint } from '../checkpoint.js';
import { copyFile, exists, makeDirectory, openRegular, ownFor, removeTree } from '../files.js';
import { type Cluster, dataOwner } from '../postgres/cluster.js';
import type { Scratch } from '../postgres/scratch.js';
import { engineOf, locationsOf } from './engines.js';
import { handedCopies } from './handed-wal.js';
import { lsnValue } from '../../vocabulary/lsn.js';
import { fillFolder, type Waiting } from './replay.js';
import { lastRecord } from './segment.js';
import { endOf, isWritten, startOf } from './wal.js';

export interface Filled {
  /** A copy that goes on from there was laid down. */
  found: boolean;
  /** Where copies of what is wanted were: all of them are no better than what the replay had. */
  had: string[];
  /** Archived whole, it cannot be read from there on, although the record there would end within it. */
  cut: boolean;
}

/**
 * Looks for what a waiting replay wants at every location, each by itself, in production's own pg_wal, archived or not,
 * and in what standbys handed over. A copy is better when it is the same up to where the replay stands, and pg_waldump,
 * which compares every checksum, reads on from there.
 */
export async function fill(
  cluster: Cluster,
  scratch: Scratch,
  waiting: Waiting,
  of: { production: string; segmentBytes: number; archivedOnly: boolean },
): Promise<Filled> {
  const folder = fillFolder(cluster, scratch);
  const owner = await dataOwner(cluster);
  const had = new Set<string>();
  let cut = false;
  for (const segment of waiting.asked) {
    const used = join(scratch.directory, 'pg_wal', segment);
    const from = waiting.lsn !== undefined && isWithin(waiting.lsn, segment, of.segmentBytes) ? waiting.lsn : undefined;
    let best = {
      path: undefined as string | undefined,
      reach: (await exists(used)) ? await lastRecord(cluster, used, from) : undefined,
    };
    let archived = false;
    const take = async (place: string, path: string): Promise<void> => {
      had.add(place);
      if (from && (await exists(used)) && !(await sameUntil(used, path, from, of.segmentBytes))) return;
      const reach = await lastRecord(cluster, path, from);
      if (reach !== undefined && (best.reach === undefined || reach > best.reach)) best = { path, reach };
    };
    for (const place of [...locationsOf(cluster), ...(cluster.only ? [] : [undefined])]) {
      if (!place && of.archivedOnly && !archived) continue;
      const path = join(folder, place ?? 'pg_wal of the database', segment);
      await makeDirectory(dirname(path), owner);
      const got = place
        ? await engineOf(cluster).fetch(cluster, segment, path, { location: place, directory: scratch.directory })
        : await ofProduction(of.production, path);
      if (!got) continue;
      await ownFor(path, owner);
      archived ||= place !== undefined;
      if (place && from && (await isCut(path, from, of.segmentBytes))) cut = true;
      await take(place ?? 'pg_wal of the database', path);
    }
    for (const { place, path } of await handedCopies(cluster, scratch, segment)) await take(place, path);
    if (best.path === undefined) continue;
    await checkpoint('before laying down a good copy of a WAL segment');
    await rename(best.path, join(folder, segment));
    await checkpoint('after laying down a good copy of a WAL segment');
    return { found: true, had: [...had], cut: false };
  }
  return { found: false, had: [...had], cut };
}

/** Takes all of it away: at the end of a recovery, and with the copy. */
export const clearFill = (cluster: Cluster, scratch: Scratch): Promise<void> =>
  removeTree(fillFolder(cluster, scratch));

async function ofProduction(production: string, path: string): Promise<boolean> {
  const own = join(production, 'pg_wal', path.slice(-24));
  if (!(await isWritten(own).catch(() => false))) return false;
  await copyFile(own, path);
  return true;
}

const isWithin = (lsn: string, segment: string, segmentBytes: number) =>
  lsnValue(lsn) >= startOf(segment, segmentBytes) && lsnValue(lsn) < endOf(segment, segmentBytes);

/**
 * A segment of that name may have been written twice: after a recovery that ended too early, another one grows in its
 * place.
 */
async function sameUntil(one: string, other: string, lsn: string, segmentBytes: number): Promise<boolean> {
  const bytes = Number(lsnValue(lsn) % BigInt(segmentBytes));
  const [a, b] = await Promise.all([one, other].map((path) => head(path, bytes)));
  return a!.equals(b!);
}

async function head(path: string, bytes: number): Promise<Buffer> {
  const file = await openRegular(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(bytes), 0, bytes, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

/**
 * Source: src/include/access/xlogrecord.h, xl_tot_len is the first field of a record; pages have 8 kB and begin with a
 * header.
 */
const page = 8192;
const largestHeader = 40;

/**
 * Whether the record that begins there would end within this segment. One that goes on in the next one is none that was
 * lost.
 */
async function isCut(path: string, lsn: string, segmentBytes: number): Promise<boolean> {
  let offset = Number(lsnValue(lsn) % BigInt(segmentBytes));
  if (offset % page === 0) offset += offset === 0 ? largestHeader : 24;
  if (offset + 4 > segmentBytes) return false;
  const bytes = (await head(path, offset + 4)).readUInt32LE(offset);
  return offset + bytes + Math.ceil(bytes / page) * largestHeader <= segmentBytes;
}
