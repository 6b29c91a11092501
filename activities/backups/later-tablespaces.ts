import { lstat, readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Target } from '../../vocabulary/target.js';
import { failure } from '../errors.js';
import type { Candidate } from './candidates.js';

/**
 * Refuses a recovery that would replay CREATE TABLESPACE: PostgreSQL makes it in the very directory that production's
 * own is in, and writes there. Throws TargetUnreachable, before anything is replayed. Source:
 * create_tablespace_directories() in recovery, src/backend/commands/tablespace.c.
 */
export async function demandNoLaterTablespace(
  production: string,
  copy: string,
  target: Target,
  candidate: Candidate,
): Promise<void> {
  if (target.kind === 'backup') return;
  const list = (directory: string) => readdir(join(directory, 'pg_tblspc')).catch((): string[] => []);
  const [now, then] = await Promise.all([list(production), list(copy)]);
  for (const oid of now.filter((one) => /^\d+$/.test(one) && !then.includes(one))) {
    const link = join(production, 'pg_tblspc', oid);
    const made = (await lstat(link)).mtime;
    if (target.kind === 'time' && Date.parse(target.iso) < made.getTime()) continue;
    throw failure(
      'TargetUnreachable',
      `tablespace ${oid} at ${await readlink(link).catch(() => '?')} was made after backup ${candidate.label}: replaying that would write into production's own directory`,
      `Choose a moment before ${made.toISOString()}: lifeboat decide restore --to TIME. So that it does not happen again, take a backup after each CREATE TABLESPACE.`,
    );
  }
}
