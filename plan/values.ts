import { z } from 'zod';

/**
 * The kinds of value that a plan is written in. Each parses its text to the unit that its name says. The error text of
 * each says what would be right, as a noun that goes after "expected": for another type, for a missing value and for a
 * wrong form alike.
 */

const unitSeconds: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };
const unitBytes: Record<string, number> = { B: 1, kB: 1e3, KB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12 };

/** `15m`, `1.5h`, `90s`: to seconds. */
export const duration = z
  .string({ error: 'a duration such as 30s, 15m, 4h, 90d' })
  .regex(/^\d+(\.\d+)?(s|m|h|d|w)$/)
  .transform((text) => Number(text.slice(0, -1)) * unitSeconds[text.slice(-1)]!)
  .meta({ description: 'A duration: 30s, 15m, 4h, 90d, 2w' });

/** `20GB`: to bytes. */
export const size = z
  .string({ error: 'a size such as 500MB or 20GB' })
  .regex(/^\d+(\.\d+)?(B|kB|KB|MB|GB|TB)$/)
  .transform((text) => {
    const [, amount, unit] = /^([\d.]+)(\w+)$/.exec(text)!;
    return Number(amount) * unitBytes[unit!]!;
  })
  .meta({ description: 'A size: 500MB, 20GB' });

/** `1%`: to a fraction between 0 and 1. */
export const percent = z
  .string({ error: 'a percentage such as 1% or 0.5%' })
  .regex(/^(100|\d{1,2}(\.\d+)?)%$/)
  .transform((text) => Number(text.slice(0, -1)) / 100)
  .meta({ description: 'A percentage: 1%' });

const cronExpected =
  'five cron fields: minute (0-59) hour (0-23) day (1-31) month (1-12 or JAN-DEC) weekday (0-7 or SUN-SAT), such as "0 2 * * *"';
const months = ['JAN', 'FEB', 'MAR', 'APR', 'MAY', 'JUN', 'JUL', 'AUG', 'SEP', 'OCT', 'NOV', 'DEC'];
const weekdays = ['SUN', 'MON', 'TUE', 'WED', 'THU', 'FRI', 'SAT'];
const cronFields: { from: number; to: number; names?: string[] }[] = [
  { from: 0, to: 59 },
  { from: 0, to: 23 },
  { from: 1, to: 31 },
  { from: 1, to: 12, names: months },
  { from: 0, to: 7, names: weekdays },
];

/** Five-field cron, read in the plan's timezone. Kept as text: Temporal evaluates it. */
export const cron = z
  .string({ error: cronExpected })
  // The form, for editors that read the JSON schema; the ranges are checked below.
  .regex(/^\S+( \S+){4}$/)
  .refine((text) =>
    text.split(' ').every((field, at) => cronFields[at] !== undefined && isCronField(field, cronFields[at])),
  )
  .meta({ description: 'Cron: minute hour day month weekday, in the timezone of the plan' });

/** A name that travels in workflow inputs: letters, digits, dashes and underscores. */
export const name = z
  .string({ error: 'a name that starts with a letter and has only letters, digits, - and _ (63 at most)' })
  .regex(/^[A-Za-z][A-Za-z0-9_-]{0,62}$/);

/** Which parts of a plan are references to secrets: what is made of {@link secret}. */
export const secretParts = z.registry<{ secret: true }>();

/** A secret is only ever a reference; what it points to is read on the host that needs it. */
export const secret = z
  .string({ error: 'a reference to a secret, never the secret itself: env:NAME or file:PATH' })
  .regex(/^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$/)
  .meta({ description: 'A reference to a secret: env:NAME or file:PATH' })
  .register(secretParts, { secret: true });

/** An IANA timezone. */
export const timezone = z
  .string({ error: 'an IANA timezone such as UTC or Asia/Kolkata' })
  .refine((zone) => isTimezone(zone))
  .meta({ description: 'IANA timezone: UTC, Asia/Kolkata, Europe/Kyiv' });

/**
 * An absolute path, below the root. `~` is not expanded: an agent's home may not be yours. Slashes at its end are cut
 * off, since what stands beside a directory is named by appending to its path; `.` and `..` are refused for the same
 * reason.
 */
export const absolutePath = z
  .string({ error: 'an absolute path without "." and "..", such as /var/lib/postgresql/15/main' })
  .regex(/^(\/+(?!\.{1,2}(\/|$))[^/\n]+)+\/*$/)
  .transform((path) => path.replace(/\/+/g, '/').replace(/\/$/, ''));

/** Where in a bucket or container everything goes: `a/b`, without slashes at its ends; nothing by default. */
export const prefix = z
  .string({ error: 'a prefix such as backups/shop' })
  .regex(/^[^/\s]+(\/[^/\s]+)*$/)
  .optional()
  .describe('Everything goes below this name: backups/shop');

/** One field of a cron: numbers or names, ranges, lists and steps, within the bounds of the field. */
function isCronField(field: string, { from, to, names = [] }: { from: number; to: number; names?: string[] }): boolean {
  const number = (text: string): number => {
    if (/^\d+$/.test(text)) return Number(text);
    const at = names.indexOf(text.toUpperCase());
    return at < 0 ? Number.NaN : at + from;
  };
  return field.split(',').every((part) => {
    const [range = '', step, ...rest] = part.split('/');
    if (rest.length > 0 || (step !== undefined && !/^[1-9]\d*$/.test(step))) return false;
    if (range === '*') return true;
    const [first = '', last = first, ...more] = range.split('-');
    return more.length === 0 && number(first) >= from && number(last) <= to && number(first) <= number(last);
  });
}

function isTimezone(zone: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: zone });
    return true;
  } catch {
    return false;
  }
}
