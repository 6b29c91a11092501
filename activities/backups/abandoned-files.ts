import type { BackupKind } from '../../vocabulary/backup.js';
import type { Location } from '../locations/location.js';
import { componentPrefix } from './record.js';

/**
 * Removes what dead runs left at a location: uploads never finished, and files of backups that have no record and are
 * older than `before`, the ID of one. Their own names say how old they are: the clock of a location may be wrong.
 */
export async function clearLeft(
  location: Location,
  { system, kind, component }: { system: string; kind: BackupKind; component: string },
  before: string,
): Promise<void> {
  const prefix = componentPrefix(system, kind, component);
  await location.removeUnfinished(prefix);
  const kept = (await location.list(prefix)).map(({ name }) => name.slice(prefix.length));
  const recorded = new Set(
    kept.filter((name) => name.endsWith('.meta.json')).map((name) => name.slice(0, -'.meta.json'.length)),
  );
  for (const name of kept) {
    const of = /^(\d{8}T\d{6}Z)\/[^/]+$/.exec(name)?.[1];
    if (of !== undefined && of < before && !recorded.has(of)) await location.remove(`${prefix}${name}`);
  }
}
