import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import {
  access,
  chown,
  copyFile as copyWhatever,
  type FileHandle,
  mkdir,
  open,
  rename,
  rm,
  stat,
  statfs,
} from 'node:fs/promises';
import { dirname } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { checkpoint } from './checkpoint.js';
import { failure } from './errors.js';
import { inTurn } from './in-turn.js';
import type { Owner } from './run.js';
import { run } from './run.js';

export const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

/**
 * Opens a file that somebody else may have made. A FIFO that nobody writes to would be waited for, and four such waits
 * are all the threads that this process reads files by. Throws CommandFailed for what is no regular file. Source:
 * open(2), O_NONBLOCK.
 */
export async function openRegular(path: string, flags = constants.O_RDONLY): Promise<FileHandle> {
  const file = await open(path, flags | constants.O_NONBLOCK).catch((error: unknown) => {
    // A FIFO that nobody reads, or a socket.
    throw (error as NodeJS.ErrnoException).code === 'ENXIO' ? notRegular(path) : error;
  });
  try {
    const found = await file.stat();
    if (!found.isFile())
      throw found.isDirectory()
        ? Object.assign(new Error(`${path} is a directory`), { code: 'EISDIR' })
        : notRegular(path);
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

const notRegular = (path: string) =>
  failure(
    'CommandFailed',
    `${path} is no regular file`,
    `Look what it is on the host (ls -l ${path}), put a file in its place, then retry.`,
  );

/** Node's own, for a file that somebody else may have made: see {@link openRegular}. */
export async function readFile(path: string, encoding: BufferEncoding): Promise<string> {
  const file = await openRegular(path);
  try {
    return await file.readFile(encoding);
  } finally {
    await file.close();
  }
}

/** The same. */
export async function copyFile(from: string, to: string): Promise<void> {
  await (await openRegular(from)).close();
  await copyWhatever(from, to);
}

export async function ownFor(path: string, owner: Owner | undefined): Promise<void> {
  if (owner) await chown(path, owner.uid, owner.gid);
}

export interface WriteOptions {
  owner?: Owner | undefined;
  mode?: number;
  /** For an effect that others build on: what it is, a step of its own for whoever kills us in between. */
  what?: string;
}

/**
 * Writes a file so that a crash leaves the old one or the new one, never a part. What a crash leaves beside it is gone
 * after the next write.
 */
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
  await pipeline((await openRegular(path)).createReadStream(), hash);
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
