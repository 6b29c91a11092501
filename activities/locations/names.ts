import { createHash, randomBytes } from 'node:crypto';
import { failure } from '../errors.js';

/** Names at a location, and the names of what is not whole yet. */

/** Refuses a name that would lead out of the location: names can come out of a record that somebody has changed. */
export function checkedName(name: string): string {
  const parts = name.split('/');
  if (name.includes('\0') || parts.some((part) => part === '' || part === '.' || part === '..')) {
    throw failure(
      'BadRequest',
      `${JSON.stringify(name)} is no name of a file at a location`,
      'A record at this location was changed; look at who can write there.',
    );
  }
  return name;
}

/** As `checkedName`, for the beginning of names: empty, or one that may end with a slash. */
export function checkedPrefix(prefix: string): string {
  if (prefix !== '') checkedName(prefix.replace(/\/$/, ''));
  return prefix;
}

export const byName = (a: { name: string }, b: { name: string }): number =>
  a.name < b.name ? -1 : a.name > b.name ? 1 : 0;

const partMark = '.lifeboat-part-';
/** File systems take 255 bytes. */
const longestBase = 200;

/**
 * `dir/.NAME.lifeboat-part-<random>`: where a file grows until it is whole. Hidden, and beside it: a rename never
 * crosses a file system.
 */
export function partName(name: string): string {
  const [directory, base] = split(name);
  return `${directory}.${shortened(base)}${partMark}${randomBytes(8).toString('hex')}`;
}

/** Of which name this is a part, or undefined; it may be shortened. */
export function wholeOfPart(name: string): string | undefined {
  const [directory, base] = split(name);
  const [, whole] = /^\.(.+)\.lifeboat-part-[0-9a-f]{16}$/s.exec(base) ?? [];
  return whole && `${directory}${whole}`;
}

/** Part files of names that begin so. */
export function isPartBelow(name: string, prefix: string): boolean {
  const whole = wholeOfPart(name);
  return whole !== undefined && (whole.startsWith(prefix) || partOf(prefix) === whole);
}

export const partOf = (name: string): string => {
  const [directory, base] = split(name);
  return `${directory}${shortened(base)}`;
};

function shortened(base: string): string {
  if (Buffer.byteLength(base) <= longestBase) return base;
  return `long-${createHash('sha256').update(base).digest('hex')}`;
}

function split(name: string): [directory: string, base: string] {
  const at = name.lastIndexOf('/') + 1;
  return [name.slice(0, at), name.slice(at)];
}
