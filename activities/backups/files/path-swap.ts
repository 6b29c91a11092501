import { lstat, mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { HostContext } from '../../context.js';
import { failure } from '../../errors.js';
import { move, removeTree } from '../../files.js';
import { beside } from '../restore-into.js';
import { Journal } from '../restore-journal.js';

/**
 * Puts restored paths in the place of what is there. First each is restored whole beside its place; then, one after the
 * other, the old one is renamed aside and the new one takes its name. Whenever it is killed, a path is the old one or
 * the new one, or for the moment between two renames under the old one's new name; the next attempt completes. Returns
 * what the old ones are called now: `PATH.before-<stamp>`.
 */
export async function swapPaths(
  context: HostContext,
  paths: string[],
  run: string,
  fill: (path: string, target: string) => Promise<void>,
): Promise<string[]> {
  const journal = await Journal.open(context, run);
  for (const path of paths) {
    const stage = beside(path, run);
    const staged = join(stage, path);
    if ((await journal.isInPlace(path)) || (await journal.isStaged(path, staged))) continue;
    await removeTree(stage);
    await mkdir(dirname(path), { recursive: true });
    await fill(path, stage);
    if (!(await isThere(staged))) {
      await removeTree(stage);
      throw failure(
        'NoBackup',
        `${path} is not in this backup; nothing was changed`,
        'Restore what is in it beside: --into DIRECTORY',
      );
    }
    await journal.staged(path, staged);
  }
  const aside: string[] = [];
  for (const path of paths) {
    const old = `${path}.before-${journal.stamp}`;
    if (!(await journal.isInPlace(path))) {
      if (await isThere(path)) await set(path, old);
      await move(join(beside(path, run), path), path, 'the swap of a restored path');
    }
    if (await isThere(old)) aside.push(old);
    await removeTree(beside(path, run));
  }
  return aside;
}

async function set(path: string, old: string): Promise<void> {
  if (await isThere(old))
    throw failure(
      'BadRequest',
      `${old} is there already, and so is ${path}`,
      'Look at both, remove the one that is not needed, then retry.',
    );
  try {
    await move(path, old, 'the setting aside of a path');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'EBUSY' && code !== 'EXDEV') throw error;
    throw failure(
      'BadRequest',
      `${path} is where a disk is mounted, and cannot be renamed aside`,
      'Restore beside it with --into DIRECTORY, and move by hand what is needed.',
    );
  }
}

const isThere = (path: string): Promise<boolean> =>
  lstat(path).then(
    () => true,
    () => false,
  );
