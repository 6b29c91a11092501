import { type BackupKind, type BackupType, physicalTypes } from '../vocabulary/backup.js';
import type { DatabasePlan, LocationPlan, Plan } from './schema.js';

/** Small questions to a plan, asked by everyone. Pure: workflows import it. */

/**
 * The value for a host, where a plan may give one for all hosts or one for each. Throws when it gives none, which
 * `lifeboat check` refuses.
 */
export function onHost<T extends string | number>(value: T | Record<string, T>, host: string): T {
  if (typeof value !== 'object') return value;
  const found = Object.hasOwn(value, host) ? value[host] : undefined;
  if (found === undefined)
    throw new Error(`the plan gives no value for host "${host}"; it has: ${Object.keys(value).join(', ')}`);
  return found;
}

/** The database of that name. Throws when the plan has none. */
export function databaseOf(plan: Plan, database: string): DatabasePlan {
  const found = Object.hasOwn(plan.databases, database) ? plan.databases[database] : undefined;
  if (!found)
    throw new Error(
      `the plan has no database "${database}"; it has: ${Object.keys(plan.databases).join(', ') || 'none'}`,
    );
  return found;
}

/** RTO and RPO of a database, in seconds: its own, or else those of the system. */
export function databaseObjectives(plan: Plan, database: string): Plan['objectives'] {
  return databaseOf(plan, database).objectives ?? plan.objectives;
}

export type PhysicalPlan = NonNullable<DatabasePlan['backups']['physical']>;

/**
 * The physical backups of a database. Throws when the plan has none, which a scenario that restores from them is
 * refused for first.
 */
export function physicalOf({ backups, name }: DatabasePlan): PhysicalPlan {
  if (!backups.physical) throw new Error(`the plan takes no physical backups of ${name}`);
  return backups.physical;
}

/** The databases that a scenario can restore: those with physical backups, in the order of the plan. */
export function recoverable(plan: Plan): string[] {
  return Object.keys(plan.databases).filter((name) => plan.databases[name]?.backups.physical !== undefined);
}

/** Where a location is, as people know it: a directory, `s3://bucket/prefix`, `user@host:directory`. */
export function placeOf({ directory, s3, azure, gcs, sftp }: LocationPlan): string {
  const below = (prefix: string | undefined) => (prefix ? `/${prefix}` : '');
  if (s3) return `s3://${s3.bucket}${below(s3.prefix)}`;
  if (azure) return `azure://${azure.account}/${azure.container}${below(azure.prefix)}`;
  if (gcs) return `gs://${gcs.bucket}${below(gcs.prefix)}`;
  if (sftp) return `${sftp.user}@${sftp.host}:${sftp.directory}`;
  return directory ?? 'nowhere';
}

/** Something that the plan backs up, and the types of backup that it has of it. */
export interface Protected {
  kind: BackupKind;
  component: string;
  types: readonly BackupType[];
}

/** Everything that the plan backs up, in its order. */
export function protectedBy(plan: Plan): Protected[] {
  const databases = Object.entries(plan.databases).flatMap(([component, { backups }]): Protected[] => [
    ...(backups.physical ? [{ kind: 'physical', component, types: physicalTypes } as const] : []),
    ...(backups.logical ? [{ kind: 'logical', component, types: ['logical'] } as const] : []),
  ]);
  const others = (['files', 'redis', 'code'] as const).flatMap((kind) =>
    Object.keys(plan[kind]).map((component): Protected => ({ kind, component, types: [kind] })),
  );
  return [...databases, ...others];
}

/** The names of all hosts, in the order of the plan. */
export const hostsOf = (plan: Plan): string[] => Object.keys(plan.hosts);

/** The hosts of a database: the primary, then the standbys. */
export function databaseHosts(plan: Plan, database: string): string[] {
  const { primary, standbys } = databaseOf(plan, database).postgres;
  return [primary, ...standbys];
}

/** Those but for one. */
export const otherHosts = (plan: Plan, database: string, host: string): string[] =>
  databaseHosts(plan, database).filter((one) => one !== host);

/**
 * The databases that have a server and its files on the host, and what that server is by the plan; after a promotion it
 * may be otherwise. A managed database has neither here.
 */
export function databasesOn(plan: Plan, host: string): { database: string; role: 'primary' | 'standby' }[] {
  const roleIn = ({ postgres }: DatabasePlan): 'primary' | 'standby' | undefined => {
    if (postgres.primary === host) return 'primary';
    return postgres.standbys.includes(host) ? 'standby' : undefined;
  };
  return Object.entries(plan.databases).flatMap(([database, each]) => {
    const role = each.postgres.dataDirectory === undefined ? undefined : roleIn(each);
    return role ? [{ database, role }] : [];
  });
}

/** Name or address at which other hosts reach it. */
export function hostAddress(plan: Plan, host: string): string {
  return (Object.hasOwn(plan.hosts, host) ? plan.hosts[host]?.address : undefined) ?? host;
}

/** The names of the services that write to the database, in the order of the plan. */
export function servicesOf(plan: Plan, database: string): string[] {
  return Object.keys(plan.services).filter((service) => plan.services[service]?.database === database);
}

/** The name of the database when the plan has exactly one, so that nobody has to type it. */
export function onlyDatabase(plan: Plan): string | undefined {
  const names = Object.keys(plan.databases);
  return names.length === 1 ? names[0] : undefined;
}

/** The locations at which there are backups of a database: physical ones first, each once. */
function locationsOfDatabase({ backups }: DatabasePlan): string[] {
  return [...new Set([...(backups.physical?.locations ?? []), ...(backups.logical?.locations ?? [])])];
}

/**
 * The locations that the agent of a host backs up to or restores from, each once: after a promotion a standby does what
 * its primary did.
 */
export function locationsUsedOn(plan: Plan, host: string): string[] {
  const ofDatabases = Object.entries(plan.databases).flatMap(([name, database]) => {
    const { verification, restoreTest } = database.backups;
    const used = [...databaseHosts(plan, name), verification?.host, restoreTest?.host].includes(host);
    return used ? locationsOfDatabase(database) : [];
  });
  const others = [plan.files, plan.redis, plan.code].flatMap(
    (components: Record<string, { host: string; locations: string[] }>) =>
      Object.values(components).flatMap((each) => (each.host === host ? each.locations : [])),
  );
  return [...new Set([...ofDatabases, ...others])];
}
