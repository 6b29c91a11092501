import { createHash } from 'node:crypto';
import { mkdir, readdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { HostContext } from '../context.js';
import { failure } from '../errors.js';
import { move, removeTree } from '../files.js';
import { Journal } from './restore-journal.js';

/** A name beside a path, of one run: on the same file system, so that it can take the place of the path by a rename. */
export const beside = (path: string, run: string): string =>
  join(
    dirname(path),
    `.${short(basename(path))}.lifeboat-${createHash('sha256').update(run).digest('hex').slice(0, 12)}`,
  );

/** File systems take 255 bytes. */
const short = (name: string) =>
  Buffer.byteLength(name) <= 200 ? name : createHash('sha256').update(name).digest('hex');

/**
 * Fills a directory that is not there yet, or is empty: `fill` works on one beside it, which takes its name when it is
 * whole. An attempt that was killed is begun anew; one that had got so far is not done twice. Throws BadRequest for a
 * directory that holds something.
 */
export async function intoDirectory(
  context: HostContext,
  into: string,
  run: string,
  fill: (target: string) => Promise<void>,
): Promise<void> {
  const journal = await Journal.open(context, run);
  if (await journal.isInPlace(into)) return;
  await refuseUsed(into);
  const staged = beside(into, run);
  await mkdir(dirname(into), { recursive: true });
  if (!(await journal.isStaged(into, staged))) {
    await removeTree(staged);
    await fill(staged);
    await journal.staged(into, staged);
  }
  // Over an empty directory too; one that was filled meanwhile is refused by the system.
  await move(staged, into, 'the naming of what was restored');
}

/** Throws BadRequest when something is there already. */
export async function refuseUsed(into: string): Promise<void> {
  const found = await stat(into).catch(() => undefined);
  const used = found && (!found.isDirectory() || (await readdir(into)).length > 0);
  if (!used) return;
  throw failure(
    'BadRequest',
    `${into} is there, and not an empty directory`,
    'Nothing is restored over what is there: name a new directory.',
  );
}
