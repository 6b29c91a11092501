import type { SftpSession, Wire } from './sftp-session.js';
import { sftpCode } from './sftp-errors.js';

/** Files over SFTP: many small requests under way at once, since each one waits for its answer across the network. */

/** What every server takes in one request. */
const piece = 32 * 1024;
const underWayMost = 64;

type Attributes = Parameters<Parameters<Wire['stat']>[1]>[1];
type Entries = Parameters<Parameters<Wire['readdir']>[1]>[1];

export const codeOf = (error: unknown): unknown => (error as { code?: unknown }).code;

export const stat = async (session: SftpSession, path: string): Promise<Attributes | undefined> =>
  session
    .ask<Attributes>((wire, answer) => wire.stat(path, answer))
    .catch((error: unknown) => {
      if (codeOf(error) === sftpCode.noSuchFile) return undefined;
      throw error;
    });

export const entries = async (session: SftpSession, path: string): Promise<Entries> =>
  session
    .ask<Entries>((wire, answer) => wire.readdir(path, answer))
    .catch((error: unknown) => {
      if (codeOf(error) === sftpCode.noSuchFile) return [];
      throw error;
    });

export const openFile = (session: SftpSession, path: string, flags: 'r' | 'wx'): Promise<Buffer> =>
  session.ask<Buffer>((wire, answer) => wire.open(path, flags, { mode: 0o640 }, answer));

export const closeFile = (session: SftpSession, handle: Buffer): Promise<void> =>
  session.ask<void>((wire, answer) => wire.close(handle, (error) => answer(error, undefined)));

export const unlink = (session: SftpSession, path: string): Promise<void> =>
  session
    .ask<void>((wire, answer) => wire.unlink(path, (error) => answer(error, undefined)))
    .catch((error: unknown) => {
      if (codeOf(error) !== sftpCode.noSuchFile) throw error;
    });

/** False: it is not empty, or gone already. */
export const removeDirectory = (session: SftpSession, path: string): Promise<boolean> =>
  session
    .ask<boolean>((wire, answer) => wire.rmdir(path, (error) => answer(error, true)))
    .catch((error: unknown) => {
      if (typeof codeOf(error) === 'number') return false;
      throw error;
    });

/** That it is there already is fine; the protocol has no code of its own for that. */
export async function makeDirectory(session: SftpSession, path: string): Promise<void> {
  try {
    await session.ask<void>((wire, answer) => wire.mkdir(path, { mode: 0o700 }, (error) => answer(error, undefined)));
  } catch (error) {
    if (typeof codeOf(error) !== 'number' || !(await stat(session, path))?.isDirectory()) throw error;
  }
}

/** Writes all of a body. Returns when everything is written, and on its disk where the server offers that. */
export async function writeAll(
  session: SftpSession,
  handle: Buffer,
  body: AsyncIterable<Buffer>,
  signal: AbortSignal,
): Promise<void> {
  const underWay = new Set<Promise<void>>();
  const failed: unknown[] = [];
  let position = 0;
  const write = (part: Buffer, at: number): void => {
    const one: Promise<void> = session
      .ask<void>((wire, answer) => wire.write(handle, part, 0, part.length, at, (error) => answer(error, undefined)))
      .catch((error: unknown) => void failed.push(error))
      .finally(() => underWay.delete(one));
    underWay.add(one);
  };
  for await (const chunk of body) {
    for (let at = 0; at < chunk.length; at += piece) {
      const part = chunk.subarray(at, at + piece);
      write(part, position);
      position += part.length;
      if (underWay.size >= underWayMost) await Promise.race(underWay);
    }
    signal.throwIfAborted();
    if (failed.length > 0) break;
  }
  await Promise.all(underWay);
  if (failed.length > 0) throw failed[0];
  await optional(
    session.ask<void>((wire, answer) => wire.ext_openssh_fsync(handle, (error) => answer(error, undefined))),
  );
}

/** Reads a range; shorter only when the file ends before. */
export async function readRange(session: SftpSession, handle: Buffer, from: number, length: number): Promise<Buffer> {
  const whole = Buffer.alloc(length);
  let got = 0;
  const read = async (start: number): Promise<void> => {
    for (let at = start; at < Math.min(start + piece, length);) {
      const wanted = Math.min(start + piece, length) - at;
      const bytes = await session
        .ask<number>((wire, answer) =>
          wire.read(handle, whole, at, wanted, from + at, (error, count) => answer(error, count)),
        )
        .catch((error: unknown) => {
          if (codeOf(error) === sftpCode.eof) return 0;
          throw error;
        });
      if (bytes === 0) return;
      got += bytes;
      at += bytes;
    }
  };
  const starts = Array.from({ length: Math.ceil(length / piece) }, (_, n) => n * piece);
  const lanes = Array.from({ length: Math.min(underWayMost, starts.length) }, async () => {
    for (let start = starts.shift(); start !== undefined; start = starts.shift()) await read(start);
  });
  await Promise.all(lanes);
  return whole.subarray(0, got);
}

/**
 * Renames, over what has the new name. A server without OpenSSH's extension must be without the old one for a moment.
 */
export async function replace(session: SftpSession, from: string, to: string): Promise<void> {
  const done = await optional(
    session.ask<boolean>((wire, answer) => wire.ext_openssh_rename(from, to, (error) => answer(error, true))),
  );
  if (done) return;
  const rename = () => session.ask<void>((wire, answer) => wire.rename(from, to, (error) => answer(error, undefined)));
  await rename().catch(async (error: unknown) => {
    if (codeOf(error) !== sftpCode.failure) throw error;
    await unlink(session, to);
    await rename();
  });
}

/** Bytes free and in all, where the server says so. */
export async function space(session: SftpSession, path: string): Promise<{ free: number; total: number } | undefined> {
  const found = await optional(
    session.ask<Record<'f_bavail' | 'f_blocks' | 'f_frsize', number | bigint>>((wire, answer) =>
      wire.ext_openssh_statvfs(path, answer),
    ),
  );
  if (!found) return undefined;
  const unit = Number(found.f_frsize);
  return { free: Number(found.f_bavail) * unit, total: Number(found.f_blocks) * unit };
}

/** Undefined when the server does not offer that extension. */
async function optional<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (/not support/.test((error as Error).message)) return undefined;
    throw error;
  }
}
