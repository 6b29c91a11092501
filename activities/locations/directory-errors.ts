import { stat } from 'node:fs/promises';
import { failure } from '../errors.js';
import { goneFrom } from './error-texts.js';

/** What the errors of a file system mean for a location. */

interface Where {
  name: string;
  root: string;
}

/** Fails when the directory itself is not there: a disk that is not mounted looks so. */
export async function missing({ name, root }: Where): Promise<void> {
  const found = await stat(root).catch((error: unknown) => {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  });
  if (found?.isDirectory()) return;
  throw failure(
    'LocationUnreachable',
    `location ${name}: there is no directory ${root} on this host`,
    `Mount its disk; or, when it should be a new one, make it: mkdir -p ${root}`,
    { location: name },
  );
}

export const stalled = ({ name, root }: Where, milliseconds: number) =>
  failure(
    'LocationUnreachable',
    `location ${name}: ${root} did not answer for ${Math.round(milliseconds / 1000)} s`,
    'Its disk or mount hangs: look at `dmesg` and at the server of the mount.',
    { location: name },
  );

export const damaged = ({ name, root }: Where, of: string, why?: string) => goneFrom(name, root)(of, why);

/** Errors of the file system in our words; whatever else went wrong stays as it is. */
export async function explainFile(where: Where, error: unknown): Promise<unknown> {
  const { name, root } = where;
  const { code, syscall } = error as NodeJS.ErrnoException;
  if (!code || !syscall) return error;
  const facts = { location: name };
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return failure(
      'NotEnoughSpace',
      `location ${name}: ${root} is full`,
      'Free space there, or use a larger disk; then try again.',
      facts,
    );
  if (['EACCES', 'EPERM', 'EROFS'].includes(code))
    return failure(
      'LocationRefused',
      `location ${name}: ${root} may not be used by this user (${code})`,
      `Let the user of the agent (uid ${process.getuid?.() ?? '?'}) read and write ${root}.`,
      facts,
    );
  const gone = code === 'ENOENT' ? await missing(where).catch((problem: unknown) => problem) : undefined;
  return (
    gone ??
    failure(
      'LocationUnreachable',
      `location ${name}: ${root} failed: ${code}`,
      'Look at the disk or the mount (`dmesg`); then try again.',
      facts,
    )
  );
}
