import { mkdir, readdir } from 'node:fs/promises';
import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { progress } from '../../capability.js';
import { failure } from '../../errors.js';
import { freeBytes, treeBytes } from '../../files.js';
import type { Repository } from './repository.js';
import { restic } from './restic.js';
import { contentsOf } from './snapshots.js';

export interface Restored {
  bytes: number;
  entries: number;
}

/**
 * Restores a snapshot below a directory, with owners and modes, reads every file again and compares it (`--verify`),
 * and counts. With `path`, only that path of it. Throws NotEnoughSpace before anything is written, BackupDamaged when
 * what came out is not what went in.
 */
export async function restoreSnapshot(
  repository: Repository,
  { id, target, ledger, path }: { id: string; target: string; ledger: string; path?: string },
): Promise<Restored> {
  const expected = await contentsOf(repository, id);
  await mkdir(target, { recursive: true, mode: 0o700 });
  const free = await freeBytes(target);
  if (free < expected.bytes) {
    throw failure(
      'NotEnoughSpace',
      `${target} has ${free} bytes free, and the backup holds ${expected.bytes}`,
      'Make room there, or restore it elsewhere: --into DIRECTORY',
    );
  }
  const what = `restoring from ${repository.location}`;
  progress({ what, bytesTotal: expected.bytes });
  let measuring = false;
  const measure = async () => {
    if (measuring) return;
    measuring = true;
    const done = await treeBytes(target).catch(() => 0);
    const percent = Math.min(99, Math.round((done / Math.max(1, expected.bytes)) * 100));
    progress({ what, percent, bytesDone: Math.min(done, expected.bytes), bytesTotal: expected.bytes });
    measuring = false;
  };
  const timer = setInterval(() => void measure(), 3000);
  try {
    const only = path === undefined ? [] : [`--include=${escaped(path)}`];
    await restic(repository, ['restore', '--verify', ...only, `--target=${target}`, '--', id], {
      ledger,
      unlocked: true,
    });
  } finally {
    clearInterval(timer);
  }
  const found = await count(target);
  if (path === undefined && (found.bytes !== expected.bytes || found.entries !== expected.entries)) {
    throw failure(
      'BackupDamaged',
      `the backup holds ${expected.entries} entries of ${expected.bytes} bytes; restored were ${found.entries} of ${found.bytes}`,
      'Take another backup: lifeboat backup list',
    );
  }
  return found;
}

/** A path as a pattern that matches nothing else. */
const escaped = (path: string) => path.replace(/[\\*?[]/g, '\\$&');

/** Bytes of regular files, hard links once, and entries of every kind: as `restic stats` counts. */
async function count(root: string): Promise<Restored> {
  const total = { bytes: 0, entries: 0 };
  const linked = new Set<string>();
  const into = async (directory: string): Promise<void> => {
    for (const entry of await readdir(Buffer.from(directory, 'latin1'), { withFileTypes: true, encoding: 'buffer' })) {
      // Names are bytes: one that is no UTF-8 is a name all the same.
      const path = join(directory, (entry.name as unknown as Buffer).toString('latin1'));
      total.entries += 1;
      if (entry.isDirectory()) await into(path);
      if (!entry.isFile()) continue;
      const { size, nlink, dev, ino } = await lstat(Buffer.from(path, 'latin1'));
      if (nlink > 1 && linked.has(`${dev} ${ino}`)) continue;
      if (nlink > 1) linked.add(`${dev} ${ino}`);
      total.bytes += size;
    }
  };
  await into(Buffer.from(root, 'utf8').toString('latin1'));
  return total;
}
