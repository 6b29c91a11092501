import { ApplicationFailure } from '@temporalio/common';
import type { ActivityInterceptorsFactory } from '@temporalio/worker';
import type { Plan } from '../plan/schema.js';
import { partsOfSecret } from '../plan/secret-parts.js';
import { allSecretReferences, resolveSecret } from '../plan/secrets.js';

const shortest = 4;

/**
 * The last gate before history: wherever the value of one of the plan's secrets stands in a result or a failure, its reference stands
 * instead. Nothing should put it there; tools print surprising things when they fail.
 */
export function keepSecretsOut(plan: Plan, planDirectory: string): ActivityInterceptorsFactory {
  return () => ({
    inbound: {
      async execute(input, next) {
        const hide = await hider(plan, planDirectory);
        try {
          return hide<unknown>(await next(input));
        } catch (error) {
          if (error instanceof ApplicationFailure) {
            const { message, type, nonRetryable } = error;
            const details = error.details ?? [];
            throw ApplicationFailure.create({
              message: hide(message),
              details: hide(details),
              ...(type ? { type } : {}),
              nonRetryable: nonRetryable === true,
            });
          }
          hideIn(error, hide);
          throw error;
        }
      },
    },
  });
}

/** An error and what caused it, to the last: Temporal writes all of them down. */
function hideIn(error: unknown, hide: <T>(value: T) => T): void {
  for (let one = error, depth = 0; one instanceof Error && depth < 20; one = one.cause, depth += 1) {
    one.message = hide(one.message);
    if (one.stack) one.stack = hide(one.stack);
  }
}

async function hider(plan: Plan, planDirectory: string): Promise<<T>(value: T) => T> {
  const known: [string, string][] = [];
  for (const { reference } of allSecretReferences(plan)) {
    const value = await resolveSecret(reference, planDirectory).catch(() => '');
    for (const secret of [value, ...partsOfSecret(value)]) {
      // A very short secret would blank out ordinary words; doctor warns of it.
      if (secret.length < shortest) continue;
      for (const written of new Set([secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1)]))
        known.push([written, `(${reference})`]);
    }
  }
  // The longest first: of a secret that begins with another one, nothing may be left over.
  known.sort(([a], [b]) => b.length - a.length);
  const text = (given: string) => known.reduce((so, [value, reference]) => so.replaceAll(value, reference), given);
  const hide = <T>(value: T): T => {
    if (typeof value === 'string') return text(value) as T;
    if (Array.isArray(value)) return value.map(hide) as T;
    if (value !== null && typeof value === 'object' && Object.getPrototypeOf(value) === Object.prototype) {
      return Object.fromEntries(Object.entries(value).map(([key, one]) => [text(key), hide(one)])) as T;
    }
    return value;
  };
  return hide;
}
