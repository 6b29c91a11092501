import { PassThrough } from 'node:stream';
import { failure } from '../../errors.js';

/** One stream into several, each as fast as the slowest that still moves. */

/**
 * How long one of them may take nothing before it is dropped: longer than a location's own patience, so that its own
 * words are heard.
 */
export const stallMilliseconds = 120_000;

export interface Branch {
  name: string;
  stream: PassThrough;
}

export function branch(name: string): Branch {
  const stream = new PassThrough({ highWaterMark: 1024 * 1024 });
  // Whoever reads it sees the error; a branch that nobody reads any more is dropped.
  stream.on('error', () => undefined);
  return { name, stream };
}

/**
 * Writes all of the source into every branch, and ends them. A branch that fails or stalls is dropped, the others go
 * on; when none is left, the source is let go and this returns. When the source fails, every branch is destroyed with
 * its error, so that nothing half-done is taken for whole.
 */
export async function tee(source: AsyncIterable<Buffer>, branches: Branch[], stall = stallMilliseconds): Promise<void> {
  const live = () => branches.filter(({ stream }) => !stream.destroyed);
  try {
    for await (const chunk of source) {
      const full = live().filter(({ stream }) => !stream.write(chunk));
      await Promise.all(full.map((one) => drained(one, stall)));
      if (live().length === 0) return;
    }
  } catch (error) {
    for (const { stream } of branches) stream.destroy(error as Error);
    throw error;
  }
  for (const { stream } of live()) stream.end();
}

function drained({ name, stream }: Branch, stall: number): Promise<void> {
  if (stream.destroyed || !stream.writableNeedDrain) return Promise.resolve();
  return new Promise((resolve) => {
    const over = () => {
      clearTimeout(timer);
      stream.off('drain', over);
      stream.off('close', over);
      resolve();
    };
    const timer = setTimeout(() => {
      stream.destroy(
        failure(
          'LocationUnreachable',
          `${name} took nothing for ${Math.round(stall / 1000)} s`,
          `Is ${name} well, and the network to it? The backup goes on at the other locations.`,
        ),
      );
    }, stall);
    stream.once('drain', over);
    stream.once('close', over);
  });
}
