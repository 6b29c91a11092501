import { createHash } from 'node:crypto';
import type { Plan } from './schema.js';

/**
 * The first 12 hex characters of the SHA-256 of what the plan says. Comments, the order of keys and the way a value is
 * written (`15m`, `900s`) do not count.
 */
export function planDigest(plan: Plan): string {
  return createHash('sha256').update(canonical(plan)).digest('hex').slice(0, 12);
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  const entries = Object.entries(value).filter(([, each]) => each !== undefined);
  entries.sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, each]) => `${JSON.stringify(key)}:${canonical(each)}`).join(',')}}`;
}
