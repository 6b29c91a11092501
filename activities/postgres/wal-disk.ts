import { lstat, readlink, realpath, rename, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { formatBytes } from '../../vocabulary/units.js';
import { checkpoint } from '../checkpoint.js';
import { exists, freeBytes, removeTree, treeBytes } from '../files.js';
import { run } from '../run.js';

/** A pg_wal on a disk of its own: a restore brings it back in the data directory, and it goes to that disk again. */

const isLink = async (path: string): Promise<boolean> =>
  (await lstat(path).catch(() => undefined))?.isSymbolicLink() ?? false;

/**
 * Where the pg_wal of a copy goes that takes the place of a directory; undefined where that has its pg_wal in it, as by
 * default.
 */
export async function walDisk(place: string, incident: string): Promise<{ was: string; goes: string } | undefined> {
  const own = join(place, 'pg_wal');
  if (!(await isLink(own))) return undefined;
  const was = await realpath(own).catch(() => undefined);
  // What an earlier incident put there has its name.
  return was === undefined ? undefined : { was, goes: `${was.replace(/\.restored-[^/]*$/, '')}.restored-${incident}` };
}

/**
 * Moves the pg_wal of a copy, whose server is stopped, to the disk where production has its own, beside it, and links
 * it. Returns why it stays in the data directory; undefined when it went, or has no other place. Which of the names
 * exist says how far an earlier attempt came.
 */
export async function moveWal(place: string, copy: string, incident: string): Promise<string | undefined> {
  const to = await walDisk(place, incident);
  if (!to) return undefined;
  const own = join(copy, 'pg_wal');
  const moved = `${own}.moved`;
  try {
    if (!(await isLink(own))) {
      if (!(await exists(moved))) {
        await copyTo(own, to.goes);
        await rename(own, moved);
        await checkpoint('after setting pg_wal of the copy aside');
      }
      await symlink(to.goes, own);
    }
    await checkpoint('after linking pg_wal of the copy');
    await removeTree(moved);
    return undefined;
  } catch (error) {
    // As it was: a pg_wal in the data directory is one, too.
    if ((await exists(moved)) && !(await isLink(own))) await rename(moved, own);
    return `pg_wal was at ${await readlink(join(place, 'pg_wal'))}, and is in the data directory now (${(error as Error).message}): move it back when it suits`;
  }
}

async function copyTo(from: string, to: string): Promise<void> {
  const [bytes, free] = [await treeBytes(from), await freeBytes(dirname(to))];
  if (free < bytes * 1.1) throw new Error(`${formatBytes(bytes)} are needed there, and ${formatBytes(free)} are free`);
  const part = `${to}.part`;
  await removeTree(part);
  await removeTree(to);
  // With owner and mode. The disk has it before the other one is given up.
  await run('cp', ['-a', '--', from, part]);
  await run('sync', ['-f', part]);
  await checkpoint('after copying pg_wal to its disk');
  await rename(part, to);
}
