import { closeSync, openSync, readSync, readdirSync, rmSync, statSync, truncateSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { randomFrom } from './random.js';

/**
 * Destroys backups in a directory location for real. What is damaged depends on the seed only, and is returned so that
 * a test can say it.
 */

/** Changes all bits of one byte. */
export function flipByte(file: string, offset: number): void {
  const handle = openSync(file, 'r+');
  const byte = Buffer.alloc(1);
  if (readSync(handle, byte, 0, 1, offset) !== 1) throw new Error(`${file} has no byte ${offset}`);
  writeSync(handle, Buffer.from([byte[0]! ^ 0xff]), 0, 1, offset);
  closeSync(handle);
}

/** Cuts a file, to half of its size if nothing else is said. */
function truncate(file: string, bytes = Math.floor(statSync(file).size / 2)): void {
  truncateSync(file, bytes);
}

export type BackupDamage = 'flip' | 'truncate' | 'delete';

/** Parts of a backup that can be damaged: files whose path in the location matches. */
export const backupParts = {
  /** The tables themselves. */
  data: /backup\/.*\/pg_data\/base\/.*/,
  manifest: /backup\/.*\/backup\.manifest(\.copy)?$/,
  info: /(backup|archive)\.info(\.copy)?$/,
  wal: /archive\/.*\/[0-9A-F]{24}-[0-9a-f]{40}/,
  bundle: /backup\/.*\/bundle\/\d+$/,
} as const;

/** Damages one matching file of the location; with `count`, so many of them. */
export function damageBackup(
  location: string,
  how: BackupDamage,
  pattern: RegExp = backupParts.data,
  seed = 1,
  count = 1,
): string[] {
  const random = randomFrom(seed);
  // An empty file has nothing in it that could be flipped.
  const candidates = files(location).filter((file) => pattern.test(file) && statSync(file).size > 0);
  if (candidates.length < count)
    throw new Error(`${location} has ${candidates.length} files that match ${pattern}, and ${count} should be damaged`);
  return Array.from({ length: count }, () => {
    const [file] = candidates.splice(Math.floor(random() * candidates.length), 1);
    if (how === 'delete') rmSync(file!);
    else if (how === 'truncate') truncate(file!);
    else flipByte(file!, Math.floor(random() * statSync(file!).size));
    return file!;
  });
}

/** Deletes a part of a backup. */
export const deletePart = (location: string, pattern: RegExp = backupParts.data, seed = 1): string =>
  damageBackup(location, 'delete', pattern, seed)[0]!;

/** Archived segments of WAL, oldest first. */
export function walSegments(location: string): string[] {
  return files(location).filter((file) => backupParts.wal.test(file));
}

/** A gap in the archive: removes the nth segment, counted from the end when negative. */
export function removeWalSegment(location: string, n: number): string {
  const segment = walSegments(location).at(n);
  if (!segment) throw new Error(`${location} has no segment ${n} of WAL`);
  rmSync(segment);
  return segment;
}

function files(directory: string): string[] {
  return (
    readdirSync(directory, { recursive: true, withFileTypes: true })
      // latest is a link to the newest backup: its files would be listed twice.
      .filter((entry) => entry.isFile() && !entry.parentPath.includes('/latest'))
      .map((entry) => join(entry.parentPath, entry.name))
      .sort()
  );
}
