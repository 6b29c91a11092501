/** A body in parts: what S3 and Azure take large files in. */

/** Parts under way at the same time; so many, and one that is being filled, are in memory. */
const parallel = 3;
const mebi = 1024 * 1024;

/**
 * Sizes of parts, by the bytes that are expected. All are the same, since some services want that; only a body that is
 * much larger than expected gets larger ones towards the end, so that it still fits.
 */
export const partBytes =
  ({ least, mostParts }: { least: number; mostParts: number }) =>
  (expected = 0): ((index: number) => number) => {
    const usual = Math.max(least, Math.ceil((expected * 1.2) / mostParts / mebi) * mebi);
    const [late, doubled] = [mostParts * 0.8, mostParts * 0.02];
    return (index) =>
      index < late
        ? usual
        : Math.max(usual, Math.min(512 * mebi, usual * 2 ** Math.floor(1 + (index - late) / doubled)));
  };

/**
 * The body in blocks of exactly this many bytes, and a last one that is shorter; at least one. What has come while a
 * block is being sent waits in the stream: so much is in memory and no more.
 */
export async function* inBlocks(
  body: AsyncIterable<Uint8Array>,
  size: (index: number) => number,
): AsyncGenerator<Buffer> {
  let parts: Uint8Array[] = [];
  let held = 0;
  let index = 0;
  for await (const chunk of body) {
    let rest = chunk;
    while (held + rest.length >= size(index)) {
      const taken = size(index) - held;
      yield Buffer.concat([...parts, rest.subarray(0, taken)]);
      rest = rest.subarray(taken);
      [parts, held, index] = [[], 0, index + 1];
    }
    if (rest.length > 0) parts.push(rest);
    held += rest.length;
  }
  if (held > 0 || index === 0) yield Buffer.concat(parts);
}

/** Whether there is but one block, and all of them. */
export async function firstOf(blocks: AsyncGenerator<Buffer>): Promise<{ only?: Buffer; all: AsyncIterable<Buffer> }> {
  const first = await blocks.next();
  const second = await blocks.next();
  async function* all() {
    yield first.value as Buffer;
    if (!second.done) yield second.value;
    yield* blocks;
  }
  return { ...(second.done ? { only: first.value as Buffer } : {}), all: all() };
}

/**
 * Sends parts, a few at a time. When it returns or throws, none is on its way any more: a part that came after its
 * upload was ended would stay.
 */
export async function sendParts(
  parts: AsyncIterable<Buffer>,
  signal: AbortSignal,
  send: (part: Buffer, index: number, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const failed = new AbortController();
  const stop = AbortSignal.any([signal, failed.signal]);
  const underWay = new Set<Promise<void>>();
  try {
    let index = 0;
    for await (const part of parts) {
      const one: Promise<void> = send(part, index, stop).finally(() => underWay.delete(one));
      // Its failure is found by the race, or below.
      one.catch((error: unknown) => failed.abort(error));
      underWay.add(one);
      index += 1;
      if (underWay.size >= parallel) await Promise.race(underWay);
      stop.throwIfAborted();
    }
    await Promise.all(underWay);
    stop.throwIfAborted();
  } catch (error) {
    failed.abort(error);
    await Promise.allSettled(underWay);
    throw error;
  }
}

/**
 * Sends a part that is in memory; when the service got other bytes than were sent, again, twice. `changed`: whether an
 * error says so.
 */
export async function sendWhole<T>(changed: (error: unknown) => boolean, send: () => Promise<T>): Promise<T> {
  for (let left = 2; ; left -= 1) {
    try {
      return await send();
    } catch (error) {
      if (left === 0 || !changed(error)) throw error;
    }
  }
}
