import type { Repository } from './repository.js';
import { restic } from './restic.js';

/** A snapshot, as `restic snapshots --json` lists it. */
export interface Snapshot {
  id: string;
  time: string;
  paths: string[];
  hostname: string;
  tags?: string[];
}

/** A tag has no comma: restic would make two of it. */
export const tagOf = (name: string, value: string): string => `${name}=${value.replaceAll(',', '%2C')}`;

export const isOf = (snapshot: Snapshot, tag: string): boolean => snapshot.tags?.includes(tag) ?? false;

/** The snapshots that have this tag, oldest first. One that cannot be read is left out. */
export async function snapshotsWith(repository: Repository, tag: string): Promise<Snapshot[]> {
  const { stdout, lines } = await restic(repository, ['snapshots', '--json', `--tag=${tag}`], {
    ledger: 'snapshots',
    unlocked: true,
    accept: [1],
  });
  const json = stdout.split('\n').find((line) => line.startsWith('['));
  // Without a list it could not read the repository at all; run it again for its words.
  if (!json) return lines.includes('null') ? [] : readAgain(repository, tag);
  return JSON.parse(json) as Snapshot[];
}

async function readAgain(repository: Repository, tag: string): Promise<Snapshot[]> {
  const { stdout } = await restic(repository, ['snapshots', '--json', `--tag=${tag}`], {
    ledger: 'snapshots',
    unlocked: true,
  });
  return (JSON.parse(stdout || '[]') ?? []) as Snapshot[];
}

/**
 * What a snapshot holds when it is restored: bytes, hard links once; and entries of any kind, the directories that lead
 * to them included.
 */
export async function contentsOf(repository: Repository, id: string): Promise<{ bytes: number; entries: number }> {
  const { stdout } = await restic(repository, ['stats', '--json', '--mode=restore-size', id], {
    ledger: 'stats',
    unlocked: true,
  });
  const { total_size: bytes, total_file_count: entries } = JSON.parse(stdout) as {
    total_size: number;
    total_file_count: number;
  };
  return { bytes, entries };
}

/**
 * Forgets snapshots, so that nobody sees them any more; with `prune`, what nothing else needs is removed too. Gone
 * already is fine.
 */
export async function forget(repository: Repository, ids: string[], { prune }: { prune: boolean }): Promise<void> {
  if (ids.length > 0) await restic(repository, ['forget', '--quiet', '--', ...ids], { ledger: 'forget' });
  if (prune) await restic(repository, ['prune', '--quiet'], { ledger: 'prune' });
}
