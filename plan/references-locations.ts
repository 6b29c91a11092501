import { locationKinds } from '../vocabulary/location.js';
import { dataDirectories, directory, entries, isWithin, map, type RawMap, type Report } from './references-raw.js';
import { sentenceList } from './words.js';

/** Whether each location says where it is, once, and no two are the same place. Pure. */
export function checkLocations(plan: RawMap, report: Report): void {
  const places = new Map<string, string>();
  for (const [name, value] of entries(plan.locations)) {
    const location = map(value);
    if (!location) continue;
    checkKind(name, location, report);
    checkKeys(name, location, report);
    checkOutside(name, location, plan, report);
    const place = samePlace(location);
    if (place === undefined) continue;
    const other = places.get(place);
    if (other === undefined) places.set(place, name);
    else
      report(['locations', name], `"${name}" is the same place as location "${other}"`, {
        at: 'key',
        found: name,
        hint: 'two copies in one place are one copy: remove one, or put it elsewhere',
      });
  }
}

/** The kinds that a location says it is of. */
export const kindsOf = (location: unknown): string[] =>
  locationKinds.filter((kind) => map(location) && Object.hasOwn(map(location)!, kind));

function checkKind(name: string, location: RawMap, report: Report): void {
  const kinds = kindsOf(location);
  const expected = `one of ${locationKinds.join(', ')}`;
  if (kinds.length === 0)
    report(['locations', name], `"${name}" says not where it is`, { at: 'key', kind: 'missing', expected });
  if (kinds.length > 1)
    report(['locations', name, kinds[1]!], `"${name}" is in ${kinds.length} places: ${sentenceList(kinds)}`, {
      at: 'key',
      expected: `exactly ${expected}`,
      hint: 'make a location of its own for each',
    });
}

/** A key without its secret, or a secret without its key, logs nobody in. */
function checkKeys(name: string, location: RawMap, report: Report): void {
  const s3 = map(location.s3);
  if (!s3) return;
  for (const [has, lacks] of [
    ['accessKeyId', 'secretAccessKey'],
    ['secretAccessKey', 'accessKeyId'],
  ] as const) {
    if (s3[has] === undefined || s3[lacks] !== undefined) continue;
    report(['locations', name, 's3', lacks], `"${lacks}" is missing: it goes with "${has}"`, {
      at: 'key',
      kind: 'missing',
      expected: 'a reference to a secret: env:NAME or file:PATH',
      hint: 'give both, or neither: then the credentials of the machine are used',
    });
  }
}

/** Backups inside of a data directory would be moved aside together with the damage. */
function checkOutside(name: string, location: RawMap, plan: RawMap, report: Report): void {
  const place = directory(location.directory);
  if (place === undefined) return;
  const inside = dataDirectories(plan).find((data) => isWithin(place, data.directory));
  if (inside === undefined) return;
  report(
    ['locations', name, 'directory'],
    `backups cannot be kept inside of the data directory of database "${inside.database}"`,
    {
      found: place,
      hint: 'choose a directory elsewhere, best on another disk',
    },
  );
}

/**
 * A text that two locations share when they are one place. The region of a bucket is none: its name and endpoint are.
 */
function samePlace(location: RawMap): string | undefined {
  const [kind, ...more] = kindsOf(location);
  if (kind === undefined || more.length > 0) return undefined;
  if (kind === 'directory') return directory(location.directory);
  const given = map(location[kind]);
  if (!given) return undefined;
  const needed =
    { s3: ['bucket'], azure: ['account', 'container'], gcs: ['bucket'], sftp: ['host', 'directory'] }[kind] ?? [];
  if (needed.some((key) => typeof given[key] !== 'string')) return undefined;
  if (kind === 'sftp')
    return `sftp ${String(given.host)} ${JSON.stringify(given.port ?? 22)} ${directory(given.directory) ?? ''}`;
  const endpoint = typeof given.endpoint === 'string' ? given.endpoint.replace(/\/+$/, '').toLowerCase() : '';
  return [kind, endpoint, ...needed.map((key) => given[key]), given.prefix ?? ''].join(' ');
}
