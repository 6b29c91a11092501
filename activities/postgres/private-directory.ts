import { lchown, lstat, mkdir } from 'node:fs/promises';
import { checkpoint } from '../checkpoint.js';
import { failure } from '../errors.js';
import type { Owner } from '../run.js';

/**
 * Makes a directory that its owner alone can enter, for the socket of a server that nobody else is to reach; one that
 * is there already is taken when it is ours. Looked at before it is touched, and never through a link: anybody may make
 * names in a folder for temporary files. Throws WrongTarget when somebody else made it.
 */
export async function privateDirectory(path: string, owner: Owner | undefined): Promise<void> {
  await mkdir(path, { mode: 0o700 }).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  });
  await checkpoint('after making the socket directory');
  const found = await lstat(path);
  const ours = [process.getuid?.(), owner?.uid].includes(found.uid);
  if (!found.isDirectory() || (found.mode & 0o077) !== 0 || !ours) {
    throw failure(
      'WrongTarget',
      `${path} belongs to somebody else`,
      "Look who made it; remove it if it is nobody's, then: lifeboat decide retry",
    );
  }
  if (owner) await lchown(path, owner.uid, owner.gid);
}
