import type { Finding } from './explain.js';
import type { Path } from './show.js';
import { suggestion } from './suggest.js';

/** What the checks of references share: looking at raw data of any shape, and saying what is wrong with it. Pure. */

export type Report = (path: Path, message: string, rest?: Partial<Finding>) => void;

export interface Names {
  /** Undefined when the file has no such map at all: then that is the problem, and not each name. */
  hosts: string[] | undefined;
  locations: string[] | undefined;
  databases: string[] | undefined;
  contacts: string[] | undefined;
}

export type RawMap = Record<string, unknown>;
export const map = (value: unknown): RawMap | undefined =>
  value !== null && typeof value === 'object' && !Array.isArray(value) ? (value as RawMap) : undefined;
export const list = (value: unknown): unknown[] => (Array.isArray(value) ? (value as unknown[]) : []);
export const entries = (value: unknown): [string, unknown][] => Object.entries(map(value) ?? {});
export const keys = (value: unknown): string[] | undefined => (map(value) ? Object.keys(map(value)!) : undefined);
/** The value of an own key: a plan may name things `constructor`. */
export const valueOf = (value: unknown, key: string): unknown => {
  const found = map(value);
  return found && Object.hasOwn(found, key) ? found[key] : undefined;
};
/** The value for a host, where a plan may give one for all hosts or one for each. */
export const at = (value: unknown, host: string): unknown => (map(value) ? valueOf(value, host) : value);
/** The hosts of a database: the primary, then the standbys. */
export const hostsOf = (postgres: RawMap): string[] =>
  [postgres.primary, ...list(postgres.standbys)].filter((host) => typeof host === 'string');

/**
 * A path as the loader of the plan makes it: without slashes at its end. Undefined when it is no path, which is told
 * elsewhere.
 */
export const directory = (value: unknown): string | undefined =>
  typeof value === 'string' && /^\/.*[^/]/.test(value) ? value.replace(/\/+/g, '/').replace(/\/$/, '') : undefined;
/** Whether the first path is the second one, or below it. */
export const isWithin = (inner: string, outer: string): boolean => `${inner}/`.startsWith(`${outer}/`);

/** The data directories of the plan, each with its database and, when they differ by host, on that host alone. */
export function dataDirectories(plan: RawMap): { database: string; host: string; directory: string }[] {
  return entries(plan.databases).flatMap(([database, value]) => {
    const postgres = map(map(value)?.postgres);
    if (!postgres) return [];
    return [...new Set(hostsOf(postgres))].flatMap((host) => {
      const found = directory(at(postgres.dataDirectory, host));
      return found === undefined ? [] : [{ database, host, directory: found }];
    });
  });
}

export function known(
  kind: string,
  name: unknown,
  among: string[] | undefined,
  path: Path,
  report: Report,
  where = `${kind}s`,
): name is string {
  if (typeof name !== 'string' || among === undefined) return false;
  if (among.includes(name)) return true;
  const hint = suggestion(name, among, kind).replace('persons', 'people');
  report(path, `unknown ${kind} "${name}"`, { found: name, expected: `the name of a ${kind} below ${where}`, hint });
  return false;
}

/** Each is known, and none stands there twice. */
export function knownLocations(value: unknown, { locations }: Names, path: Path, report: Report): void {
  const all = list(value);
  for (const [i, location] of all.entries()) {
    known('location', location, locations, [...path, i], report);
    if (typeof location === 'string' && all.indexOf(location) < i)
      report([...path, i], `"${location}" stands twice among the locations`, {
        found: location,
        hint: 'remove one of them',
      });
  }
}
