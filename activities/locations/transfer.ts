import { createHash } from 'node:crypto';
import { type Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { checkpoint } from '../checkpoint.js';
import type { PutOptions } from './location.js';
import { partOf } from './names.js';

/**
 * What every kind of location shares: bytes are counted and hashed on their way, and a failed upload leaves nothing.
 */

/** How patient a location is. Tests are less so. */
export interface Limits {
  /** Milliseconds in which a connection that works must move a byte. */
  stall: number;
}

export const defaultLimits: Limits = { stall: 60_000 };

export interface Sending {
  location: string;
  name: string;
  body: Readable;
  options?: PutOptions | undefined;
  /** Sends what it reads, to its end; must fail when the body or the signal does. */
  send: (body: Readable, signal: AbortSignal) => Promise<void>;
  /** After a failure: takes back what was sent. What fails here is left to `removeUnfinished`. */
  undo?: () => Promise<void>;
  /** Puts the vendor's error into our words. */
  explain: (error: unknown) => Promise<unknown>;
}

const underWay = new Map<string, number>();
const key = (location: string, name: string) => `${location}\0${partOf(name)}`;

/** This process is sending it right now: what is there of it is no leftover. */
export const isBeingSent = (location: string, name: string): boolean => underWay.has(key(location, name));

/**
 * Runs one upload. An error of the body or of the caller's signal is thrown as it is, whatever the vendor's client
 * makes of it.
 */
export async function sending({
  location,
  name,
  body,
  options,
  send,
  undo,
  explain,
}: Sending): Promise<{ bytes: number; sha256: string }> {
  const { signal } = options ?? {};
  const hash = createHash('sha256');
  let bytes = 0;
  const meter = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length;
      hash.update(chunk);
      done(null, chunk);
    },
  });
  const source: { failed?: unknown } = {};
  if (body.errored) source.failed = body.errored;
  // When the upload fails first, the meter is destroyed before the body is.
  body.once('error', (error) => !meter.destroyed && (source.failed ??= error));
  const stop = new AbortController();
  const end = () => stop.abort(signal?.reason);
  signal?.addEventListener('abort', end);
  underWay.set(key(location, name), (underWay.get(key(location, name)) ?? 0) + 1);
  body.once('close', () => {
    if (!body.readableEnded && !meter.destroyed)
      source.failed ??= new Error('what was to be sent was closed before its end');
  });
  const fed = pipeline(body, meter, { signal: stop.signal }).catch((error: unknown) => stop.abort(error));
  try {
    signal?.throwIfAborted();
    await checkpoint('before a file is kept');
    const done = send(meter, stop.signal);
    await Promise.race([done, aborted(stop.signal, done)]);
    await fed;
    stop.signal.throwIfAborted();
    await checkpoint('after a file is kept');
    return { bytes, sha256: hash.digest('hex') };
  } catch (error) {
    stop.abort(error);
    // It may be in the middle of something that never ends: it is not waited for.
    body.destroy();
    // Before what fills the disk is gone.
    const explained = await explain(error);
    await undo?.().catch(() => undefined);
    if (signal?.aborted) throw signal.reason;
    throw source.failed ?? explained;
  } finally {
    signal?.removeEventListener('abort', end);
    const left = underWay.get(key(location, name))! - 1;
    if (left > 0) underWay.set(key(location, name), left);
    else underWay.delete(key(location, name));
  }
}

/** Rejects some time after the signal: a client that does not heed it must not hold us for ever. */
async function aborted(signal: AbortSignal, done: Promise<void>): Promise<never> {
  await new Promise((resolve) => {
    if (signal.aborted) resolve(undefined);
    else signal.addEventListener('abort', resolve, { once: true });
  });
  await Promise.race([done.catch(() => undefined), pause(10_000, undefined, { ref: false })]);
  throw signal.reason;
}

/**
 * Fails with what `late` makes when the work takes longer than it should. The work itself goes on: a hanging mount
 * cannot be stopped.
 */
export async function within<T>(milliseconds: number, work: Promise<T>, late: () => Error): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<never>((_resolve, reject) => (timer = setTimeout(() => reject(late()), milliseconds)));
  try {
    return await Promise.race([work, tooLate]);
  } finally {
    clearTimeout(timer);
  }
}
