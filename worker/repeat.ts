import { setTimeout as pause } from 'node:timers/promises';

/** Does something again and again until the signal, with so many seconds between the end of one and the next. */
export async function repeat(seconds: number, signal: AbortSignal, work: () => Promise<void>): Promise<void> {
  while (!signal.aborted) {
    await work();
    await pause(seconds * 1000, undefined, { signal }).catch(() => undefined);
  }
}
