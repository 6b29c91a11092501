import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { access, chown, mkdir, open, rename, rm, stat, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { checkpoint } from './checkpoint.js';
import { inTurn } from './in-turn.js';
import type { Owner } from './run.js';
import { run } from './run.js';

export const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

export async function ownFor(path: string, owner: Owner | undefined): Promise<void> {
  if (owner) await chown(path, owner.uid, owner.gid);
}

export interface WriteOptions {
  owner?: Owner | undefined;
  mode?: number;
  /** For an effect that others build on: what it is, a step of its own for whoever kills us in between. */
  what?: string;
}

/** Writes a file so that a crash leaves the old one or the new one, never a part. What a crash leaves beside it is gone after the next write. */
export function writeWhole(path: string, text: string, options: WriteOptions = {}): Promise<void> {
  return inTurn(path, async () => {
    const point = (when: string) => (options.what ? checkpoint(`${when} ${options.what}`) : undefined);
    const temporary = `${path}.lifeboat-new`;
    await point('before');
    await mkdir(dirname(path), { recursive: true });
    await rm(temporary, { force: true });
    // Never through a link that somebody else laid there.
    const file = await open(temporary, 'wx', options.mode ?? 0o644);
    try {
      await file.writeFile(text);
      if (options.owner) await file.chown(options.owner.uid, options.owner.gid);
      await file.sync();
    } finally {
      await file.close();
    }
    await point('during');
    await rename(temporary, path);
    await point('after');
  });
}

/** Renames and makes the new name durable. A step of its own for whoever kills us in between. */
export async function move(from: string, to: string, what: string): Promise<void> {
  await checkpoint(`before ${what}`);
  await rename(from, to);
  for (const parent of new Set([dirname(from), dirname(to)])) {
    const directory = await open(parent, 'r');
    await directory.sync();
    await directory.close();
  }
  await checkpoint(`after ${what}`);
}

/** Creates a directory for its owner alone; one that is there stays as it is. */
export async function makeDirectory(path: string, owner: Owner | undefined, mode = 0o700): Promise<void> {
  if (await exists(path)) return;
  await mkdir(path, { mode });
  await ownFor(path, owner);
}

export async function removeTree(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true });
}

export async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

/** Bytes that an ordinary user can still write to the file system of a path. */
export async function freeBytes(path: string): Promise<number> {
  const fs = await statfs(path);
  return fs.bavail * fs.bsize;
}

/** Bytes that a tree takes on disk. */
export async function treeBytes(path: string): Promise<number> {
  const { stdout } = await run('du', ['-sk', path], { accept: [1] });
  return Number(stdout.split(/\s/)[0]) * 1024;
}

export async function fileBytes(path: string): Promise<number> {
  return (await stat(path)).size;
}
