import { Readable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { isFailure } from '../errors.js';

/**
 * Reading in ranges. A restore reads slowly and with pauses (it builds an index for minutes), and no server holds a
 * connection for so long: so a file is fetched block by block, each over a request of its own, of which the next one is
 * on its way while the last one is read. A block that comes short or breaks off is fetched again a few times; then the
 * stream fails. It never ends before its end.
 */

const usualBytes = 8 * 1024 * 1024;
const tries = 4;

export interface Ranges {
  bytes: number;
  /** What one request asks for. */
  blockBytes?: number;
  /**
   * Fetches these bytes, `from` and `to` included, of the very version that was found. Its errors are in our words
   * already.
   */
  fetch: (from: number, to: number, signal: AbortSignal) => Promise<Buffer>;
  signal?: AbortSignal | undefined;
  /** Fewer or more bytes came than were asked for. */
  short: (got: number, wanted: number) => Error;
}

export function readRanges(ranges: Ranges): Readable {
  return Readable.from(blocks(ranges), { objectMode: false, highWaterMark: 1 });
}

async function* blocks(ranges: Ranges): AsyncGenerator<Buffer> {
  const { blockBytes = usualBytes } = ranges;
  const stop = new AbortController();
  const signal = ranges.signal ? AbortSignal.any([stop.signal, ranges.signal]) : stop.signal;
  const fetch = (from: number) => {
    const block = fetchBlock(ranges, from, Math.min(from + blockBytes, ranges.bytes) - 1, signal);
    // It is awaited later, or never when the reader goes away.
    block.catch(() => undefined);
    return block;
  };
  try {
    let next = ranges.bytes > 0 ? fetch(0) : undefined;
    for (let from = 0; next; from += blockBytes) {
      const block = await next;
      next = from + blockBytes < ranges.bytes ? fetch(from + blockBytes) : undefined;
      yield block;
    }
  } finally {
    stop.abort();
  }
}

async function fetchBlock(ranges: Ranges, from: number, to: number, signal: AbortSignal): Promise<Buffer> {
  for (let left = tries; ;) {
    try {
      signal.throwIfAborted();
      const block = await ranges.fetch(from, to, signal);
      if (block.length !== to - from + 1) throw ranges.short(block.length, to - from + 1);
      return block;
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      left -= 1;
      if (left === 0 || !isFailure(error, 'LocationUnreachable')) throw error;
      await pause(250 * 2 ** (tries - left), undefined, { signal });
    }
  }
}

/**
 * A stream of so many bytes as one buffer, which is shorter when it ends early. Fails when the stream does, and at once
 * when more comes: a service that does not heed the range would send the whole file.
 */
export async function bufferOf(
  stream: AsyncIterable<Uint8Array>,
  bytes: number,
  more: (got: number, wanted: number) => Error,
): Promise<Buffer> {
  const block = Buffer.allocUnsafe(bytes);
  let at = 0;
  for await (const part of stream) {
    if (at + part.length > bytes) throw more(at + part.length, bytes);
    block.set(part, at);
    at += part.length;
  }
  return at === bytes ? block : block.subarray(0, at);
}
