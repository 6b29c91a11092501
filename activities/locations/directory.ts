import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, rename, rm, rmdir, stat, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline, type Readable, Transform } from 'node:stream';
import { checkpoint } from '../checkpoint.js';
import { damaged, explainFile, missing, stalled } from './directory-errors.js';
import type { Kept, Location, PutOptions } from './location.js';
import { byName, checkedName, checkedPrefix, isPartBelow, partName, wholeOfPart } from './names.js';
import { defaultLimits, isBeingSent, type Limits, sending, within } from './transfer.js';

/**
 * A directory of this host: a disk, or a mount. It must be there: one that is not may be a disk that is not mounted,
 * and is never made.
 */
export function directoryLocation(name: string, root: string, limits: Limits = defaultLimits): Location {
  const where = { name, root };
  const pathOf = (of: string) => join(root, checkedName(of));

  const step = <T>(work: Promise<T>) => within(limits.stall, work, () => stalled(where, limits.stall));
  async function explained<T>(work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      throw await explainFile(where, error);
    }
  }

  async function put(of: string, body: Readable, options?: PutOptions) {
    const path = pathOf(of);
    const part = join(root, partName(of));
    return sending({
      location: name,
      name: of,
      body,
      options,
      async send(metered, signal) {
        await step(missing(where));
        const file = await step(openPart(root, part));
        try {
          for await (const chunk of metered) {
            signal.throwIfAborted();
            await step(writeAll(file, chunk as Buffer));
          }
          await step(file.sync());
        } finally {
          await step(file.close());
        }
        signal.throwIfAborted();
        await checkpoint('during the keeping of a file');
        await step(rename(part, path));
        await step(syncDirectory(dirname(path)));
      },
      undo: () => step(rm(part, { force: true })),
      explain: (error) => explainFile(where, error),
    });
  }

  async function find(of: string): Promise<Kept | undefined> {
    const path = pathOf(of);
    await explained(step(missing(where)));
    const found = await explained(step(stat(path).catch(ifAbsent(undefined))));
    return found?.isFile() ? { name: of, bytes: found.size, modifiedAt: found.mtimeMs } : undefined;
  }

  async function get(of: string, options: { signal?: AbortSignal | undefined } = {}): Promise<Readable> {
    const kept = await find(of);
    if (!kept) throw damaged(where, of);
    const file = await explained(open(pathOf(of), 'r'));
    let left = kept.bytes;
    const counted = new Transform({
      transform(chunk: Buffer, _encoding, done) {
        left -= chunk.length;
        done(null, chunk);
      },
      flush: (done) => done(left === 0 ? null : damaged(where, of, `it is ${left} bytes shorter than it was`)),
    });
    const stream = createReadStream('', {
      fd: file,
      highWaterMark: 256 * 1024,
      ...(options.signal ? { signal: options.signal } : {}),
    });
    // Whoever reads sees the error.
    return pipeline(stream, counted, () => undefined);
  }

  /** Names of files below a folder, parts of uploads included. */
  async function walk(prefix: string): Promise<string[]> {
    await step(missing(where));
    const found: string[] = [];
    const into = async (folder: string): Promise<void> => {
      for (const entry of await readdir(join(root, folder), { withFileTypes: true }).catch(ifAbsent([]))) {
        const of = `${folder}${entry.name}`;
        // Folders that lead to the prefix, or lie below it.
        if (entry.isDirectory() && (`${of}/`.startsWith(prefix) || prefix.startsWith(`${of}/`))) await into(`${of}/`);
        if (entry.isFile()) found.push(of);
      }
    };
    await into(checkedPrefix(prefix).slice(0, prefix.lastIndexOf('/') + 1));
    return found;
  }

  return {
    name,
    put,
    get,
    find,
    async list(prefix) {
      const names = (await explained(walk(prefix))).filter((of) => of.startsWith(prefix) && !wholeOfPart(of));
      const kept: Kept[] = [];
      for (const of of names) {
        const one = await find(of);
        if (one) kept.push(one);
      }
      return kept.sort(byName);
    },
    async remove(of) {
      const path = pathOf(of);
      await explained(step(missing(where)));
      await checkpoint('before a file is removed');
      await explained(step(rm(path, { force: true })));
      await explained(step(removeEmpty(root, dirname(path))));
      await checkpoint('after a file is removed');
    },
    async removeUnfinished(prefix) {
      const parts = (await explained(walk(prefix))).filter((of) => isPartBelow(of, prefix) && !isPartOfOurs(name, of));
      for (const of of parts) {
        await explained(rm(join(root, of), { force: true }));
        await explained(removeEmpty(root, dirname(join(root, of))));
      }
      return parts.length;
    },
    async space() {
      await explained(missing(where));
      const { bavail, blocks, bsize } = await explained(statfs(root));
      return { free: bavail * bsize, total: blocks * bsize };
    },
    close: () => Promise.resolve(),
  };
}

const isPartOfOurs = (location: string, part: string) => isBeingSent(location, wholeOfPart(part)!);

/** The part file, in folders that are made one by one below the root: the root itself never is. */
async function openPart(root: string, part: string) {
  for (let tries = 0; ; tries += 1) {
    await makeFolders(root, dirname(part));
    try {
      return await open(part, 'wx', 0o640);
    } catch (error) {
      // Somebody removed the last file in that folder, and the folder with it.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || tries === 3) throw error;
    }
  }
}

async function makeFolders(root: string, folder: string): Promise<void> {
  if (folder === root || folder.length < root.length) return;
  await makeFolders(root, dirname(folder));
  try {
    await mkdir(folder, { mode: 0o700 });
    await syncDirectory(dirname(folder));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

async function removeEmpty(root: string, folder: string): Promise<void> {
  if (folder === root || !folder.startsWith(root)) return;
  const gone = await rmdir(folder).then(
    () => true,
    // Something is in it, or it is gone already, which is as good.
    () => false,
  );
  if (gone) await removeEmpty(root, dirname(folder));
}

async function writeAll(file: { write(data: Buffer): Promise<{ bytesWritten: number }> }, data: Buffer): Promise<void> {
  for (let rest = data; rest.length > 0;) rest = rest.subarray((await file.write(rest)).bytesWritten);
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

const ifAbsent =
  <T>(value: T) =>
  (error: unknown): T => {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return value;
    throw error;
  };
