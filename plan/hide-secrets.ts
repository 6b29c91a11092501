import { partsOfSecret } from './secret-parts.js';
import type { Plan } from './schema.js';
import { allSecretReferences, resolveSecret } from './secrets.js';

const shortest = 4;

export type Hide = <T>(value: T) => T;

/**
 * Whoever holds this can clean a text (or whatever holds texts) of the plan's secrets: wherever the value of one
 * stands, as it is or as it is written in a URL or in JSON, its reference stands instead. Secrets are read anew at each
 * call; one that cannot be read here hides nothing.
 */
export async function secretHider(plan: Plan, planDirectory: string): Promise<Hide> {
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
  const hide: Hide = <T>(value: T): T => {
    if (typeof value === 'string') return text(value) as T;
    if (Array.isArray(value)) return value.map(hide) as T;
    if (value !== null && typeof value === 'object' && Object.getPrototypeOf(value) === Object.prototype) {
      return Object.fromEntries(Object.entries(value).map(([key, one]) => [text(key), hide(one)])) as T;
    }
    return value;
  };
  return hide;
}
