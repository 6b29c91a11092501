import type { HostContext } from '../../context.js';
import { failure } from '../../errors.js';
import type { Location } from '../../locations/location.js';
import { openLocation, withLocation } from '../../locations/open.js';
import type { DatabasePlan } from '../../../plan/schema.js';
import type { BackupListing, BackupRecord } from '../../../vocabulary/backup.js';
import { backupPrefix, readRecords } from '../record.js';

export type LogicalPlan = NonNullable<DatabasePlan['backups']['logical']>;

/** What the plan says of the dumps of a database. Throws BadRequest when it says nothing. */
export function logicalOf({ plan, host }: HostContext, component: string): LogicalPlan {
  const found = Object.hasOwn(plan.databases, component) ? plan.databases[component]!.backups.logical : undefined;
  if (found) return found;
  throw failure(
    'BadRequest',
    `the plan of ${host} takes no dumps of "${component}"`,
    `Add databases.${component}.backups.logical to the plan, with its locations.`,
  );
}

/** The locations of the plan, opened; those that cannot be are named in `failed`. Close them. */
export async function openAll(
  context: HostContext,
  names: string[],
  failed: Record<string, string>,
): Promise<Location[]> {
  const opened: Location[] = [];
  for (const name of names) {
    const location = await openLocation(context, name).catch(
      (error: unknown) => void (failed[name] = (error as Error).message),
    );
    if (location) opened.push(location);
  }
  return opened;
}

/** Every dump of a database at every location, newest first; at one moment, in the plan's order of locations. */
export async function listLogical(context: HostContext, component: string): Promise<BackupListing> {
  const { locations } = logicalOf(context, component);
  const unreadable: Record<string, string> = {};
  const found = await Promise.all(
    locations.map((name) =>
      withLocation(context, name, (location) => readRecords(location, context.plan.system, 'logical', component)).catch(
        (error: unknown) => {
          unreadable[name] = (error as Error).message;
          return [];
        },
      ),
    ),
  );
  const rank = (record: BackupRecord) => locations.indexOf(record.location);
  return { backups: found.flat().sort((a, b) => b.id.localeCompare(a.id) || rank(a) - rank(b)), unreadable };
}

/** Where a file of a backup is kept. */
export const fileName = (of: Pick<BackupRecord, 'system' | 'component' | 'id'>, name: string): string =>
  `${backupPrefix({ ...of, kind: 'logical' })}${name}`;
