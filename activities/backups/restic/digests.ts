import { createHash } from 'node:crypto';
import { pipeline } from 'node:stream/promises';
import { cancelled, progress } from '../../capability.js';
import { isFailure } from '../../errors.js';
import type { Kept, Location } from '../../locations/location.js';
import { inRepository } from './repository.js';

const atOnce = 4;

/**
 * Reads every file of a repository and returns those whose content is not what was written: each bears the SHA-256 of
 * its content as its name (restic's design document, "Repository layout"). `restic check --read-data` compares the
 * same, but tries for a quarter of an hour to read each pack that is lost, and does not say which snapshots suffer.
 */
export async function damagedFiles(location: Location): Promise<string[]> {
  const files: Kept[] = [];
  for (const kind of ['keys', 'snapshots', 'index', 'data'])
    files.push(...(await location.list(inRepository(`${kind}/`))));
  const total = files.reduce((sum, { bytes }) => sum + bytes, 0);
  const damaged: string[] = [];
  let done = 0;
  const left = files.filter(({ name }) => /\/[0-9a-f]{64}$/.test(name)).reverse();
  const read = async () => {
    for (let file = left.pop(); file; file = left.pop()) {
      cancelled()?.throwIfAborted();
      if (!(await isWhole(location, file.name))) damaged.push(file.name);
      done += file.bytes;
      const percent = total === 0 ? 100 : Math.floor((done / total) * 100);
      progress({ what: `reading every byte at ${location.name}`, percent, bytesDone: done, bytesTotal: total });
    }
  };
  await Promise.all(Array.from({ length: atOnce }, read));
  return damaged.sort();
}

/** Which of these files are there and still not what was written. */
export async function stillDamaged(location: Location, names: string[]): Promise<string[]> {
  const damaged: string[] = [];
  for (const name of names) if ((await location.find(name)) && !(await isWhole(location, name))) damaged.push(name);
  return damaged;
}

async function isWhole(location: Location, name: string): Promise<boolean> {
  const hash = createHash('sha256');
  try {
    await pipeline(await location.get(name), hash);
  } catch (error) {
    // Removed meanwhile by a prune; whether anything needs it, the check of the structure says.
    if (isFailure(error, 'BackupDamaged') && !(await location.find(name))) return true;
    throw error;
  }
  return hash.digest('hex') === name.slice(-64);
}
