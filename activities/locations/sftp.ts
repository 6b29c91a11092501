import type { Readable } from 'node:stream';
import type { LocationPlan } from '../../plan/schema.js';
import { checkpoint } from '../checkpoint.js';
import type { Kept, Location } from './location.js';
import { byName, checkedName, checkedPrefix, isPartBelow, partName, wholeOfPart } from './names.js';
import { readRanges } from './ranges.js';
import { explainSftp, full, gone, noDirectory, short, sftpCode, type SftpWhere } from './sftp-errors.js';
import * as files from './sftp-files.js';
import { sftpSession } from './sftp-session.js';
import { defaultLimits, isBeingSent, type Limits, sending } from './transfer.js';

type SftpPlan = NonNullable<LocationPlan['sftp']>;

/**
 * A directory of a server that is reached over SSH. Like a directory of this host, it is never made: only what is below
 * it is.
 */
export function sftpLocation(
  name: string,
  plan: SftpPlan,
  privateKey: string,
  limits: Limits = defaultLimits,
): Location {
  const { host, port, user } = plan;
  const root = plan.directory.replace(/(.)\/+$/, '$1');
  const where: SftpWhere = { name, host, port, user, directory: root };
  const session = sftpSession({ where, privateKey, hostKey: plan.hostKey, stall: limits.stall });
  const pathOf = (of: string) => `${root}/${checkedName(of)}`;

  async function explain(error: unknown): Promise<unknown> {
    // The protocol has one code for a full disk and for much else.
    if (files.codeOf(error) === sftpCode.failure) {
      const left = await files.space(session, root).catch(() => undefined);
      if (left && left.free < 1024 * 1024) return full(where);
    }
    return explainSftp(where, error);
  }
  async function explained<T>(work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      throw await explain(error);
    }
  }
  async function mustExist(): Promise<void> {
    if (!(await files.stat(session, root))?.isDirectory()) throw noDirectory(where);
  }

  /** The part file, in folders that are made one by one below the root. */
  async function openPart(part: string): Promise<Buffer> {
    for (let tries = 0; ; tries += 1) {
      for (let at = part.indexOf('/'); at > 0; at = part.indexOf('/', at + 1)) {
        const folder = `${root}/${part.slice(0, at)}`;
        if (!(await files.stat(session, folder))) await files.makeDirectory(session, folder);
      }
      try {
        return await files.openFile(session, `${root}/${part}`, 'wx');
      } catch (error) {
        // Somebody removed the last file in that folder, and the folder with it.
        if (files.codeOf(error) !== sftpCode.noSuchFile || tries === 3) throw error;
      }
    }
  }

  /** The folders that held it and nothing else, up to the root and without it. */
  async function removeEmpty(of: string): Promise<void> {
    for (let at = of.lastIndexOf('/'); at > 0; at = of.lastIndexOf('/', at - 1))
      if (!(await files.removeDirectory(session, `${root}/${of.slice(0, at)}`))) break;
  }

  async function find(of: string): Promise<Kept | undefined> {
    const path = pathOf(of);
    const found = await explained(files.stat(session, path));
    if (found?.isFile()) return { name: of, bytes: found.size, modifiedAt: found.mtime * 1000 };
    if (!found) await explained(mustExist());
    return undefined;
  }

  async function walk(prefix: string): Promise<Kept[]> {
    await mustExist();
    const found: Kept[] = [];
    const into = async (folder: string): Promise<void> => {
      for (const { filename, attrs } of await files.entries(session, `${root}/${folder}`)) {
        const of = `${folder}${filename}`;
        if (attrs.isDirectory() && (`${of}/`.startsWith(prefix) || prefix.startsWith(`${of}/`))) await into(`${of}/`);
        if (attrs.isFile()) found.push({ name: of, bytes: attrs.size, modifiedAt: attrs.mtime * 1000 });
      }
    };
    await into(checkedPrefix(prefix).slice(0, prefix.lastIndexOf('/') + 1));
    return found;
  }

  return {
    name,
    find,
    async put(of, body, options) {
      const path = pathOf(of);
      const part = partName(of);
      return sending({
        location: name,
        name: of,
        body,
        options,
        async send(metered, signal) {
          await mustExist();
          const handle = await openPart(part);
          try {
            await files.writeAll(session, handle, metered, signal);
          } finally {
            await files.closeFile(session, handle).catch(() => undefined);
          }
          signal.throwIfAborted();
          await checkpoint('during the keeping of a file');
          await files.replace(session, `${root}/${part}`, path);
        },
        undo: () => files.unlink(session, `${root}/${part}`),
        explain,
      });
    },
    async get(of, { signal } = {}): Promise<Readable> {
      const found = await find(of);
      if (!found) throw gone(where, of);
      return readRanges({
        bytes: found.bytes,
        signal,
        short: (got, wanted) => short(where, of, got, wanted),
        async fetch(from, to) {
          try {
            const handle = await files.openFile(session, pathOf(of), 'r');
            try {
              const now = await files.stat(session, pathOf(of));
              if (now?.size !== found.bytes || now.mtime * 1000 !== found.modifiedAt)
                throw gone(where, of, 'it was removed or replaced while it was read');
              return await files.readRange(session, handle, from, to - from + 1);
            } finally {
              await files.closeFile(session, handle).catch(() => undefined);
            }
          } catch (error) {
            if (files.codeOf(error) === sftpCode.noSuchFile) throw gone(where, of, 'it was removed while it was read');
            throw await explain(error);
          }
        },
      });
    },
    async list(prefix) {
      return (await explained(walk(prefix)))
        .filter((one) => one.name.startsWith(prefix) && !wholeOfPart(one.name))
        .sort(byName);
    },
    async remove(of) {
      const path = pathOf(of);
      await explained(mustExist());
      await checkpoint('before a file is removed');
      await explained(files.unlink(session, path));
      await explained(removeEmpty(of));
      await checkpoint('after a file is removed');
    },
    async removeUnfinished(prefix) {
      const parts = (await explained(walk(prefix))).filter(
        (one) => isPartBelow(one.name, prefix) && !isBeingSent(name, wholeOfPart(one.name)!),
      );
      for (const part of parts) {
        await explained(files.unlink(session, `${root}/${part.name}`));
        await explained(removeEmpty(part.name));
      }
      return parts.length;
    },
    space: () => explained(files.space(session, root)),
    close: () => session.close(),
  };
}
