import { setTimeout as pause } from 'node:timers/promises';

/** On a machine under load, what takes a moment takes minutes: nothing that is only waited for fails sooner. */
const leastSeconds = 300;

/**
 * Waits for a condition: calls `look` until it gives something truthy, and returns that. `seconds`: at least so long,
 * for what never comes. What it throws counts as "not yet", and is told when the time is up.
 */
export const until = <T>(
  what: string,
  look: () => T | Promise<T>,
  seconds = leastSeconds,
  everyMs = 25,
): Promise<NonNullable<T>> => within(what, look, Math.max(seconds, leastSeconds), everyMs);

/** The same, where something else is done when the time is up: exactly so long. */
export async function within<T>(
  what: string,
  look: () => T | Promise<T>,
  seconds: number,
  everyMs = 25,
): Promise<NonNullable<T>> {
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
