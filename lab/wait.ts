import { setTimeout as pause } from 'node:timers/promises';

/**
 * Waits for a condition: calls `look` until it gives something truthy, and returns that.
 * What it throws counts as "not yet", and is told when the time is up.
 */
export async function until<T>(what: string, look: () => T | Promise<T>, seconds = 120, everyMs = 25): Promise<NonNullable<T>> {
  const end = Date.now() + seconds * 1000;
  let last: unknown;
  for (;;) {
    try {
      const found = await look();
      if (found) return found;
      last = undefined;
    } catch (error) {
      if (error instanceof GaveUp) throw error;
      last = error;
    }
    if (Date.now() > end) throw new Error(`waited ${seconds} s in vain for: ${what}`, { cause: last });
    await pause(everyMs);
  }
}

/** Thrown by `look` when waiting longer is pointless. */
export class GaveUp extends Error {}
