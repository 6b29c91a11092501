import type { Finding } from './explain.js';
import { checkBackups, checkDrillable } from './references-backups.js';
import { checkLocations } from './references-locations.js';
import {
  at,
  entries,
  hostsOf,
  keys,
  known,
  list,
  map,
  type Names,
  type RawMap,
  type Report,
} from './references-raw.js';
import type { Path } from './show.js';
import { suggestion } from './suggest.js';

/**
 * Whether the names in a plan lead somewhere, and whether its parts can stand beside each other. Works on the raw data
 * of the file and takes nothing for granted, so that these problems show although others are there. Pure.
 */
export function checkReferences(data: unknown): Finding[] {
  const plan = map(data);
  if (!plan) return [];
  const findings: Finding[] = [];
  const names: Names = {
    hosts: keys(plan.hosts),
    locations: keys(plan.locations),
    databases: keys(plan.databases),
    contacts: keys(map(plan.people)?.contacts),
  };
  const report: Report = (path, message, rest = {}) =>
    findings.push({ path, at: 'value', kind: 'reference', message, ...rest });

  for (const [name, database] of entries(plan.databases)) checkDatabase(['databases', name], database, names, report);
  checkNeighbours(plan, report);
  checkLocations(plan, report);
  checkBackups(plan, names, report);
  for (const [name, service] of entries(plan.services)) checkService(['services', name], service, names, report);
  checkPeople(plan, names, report);
  checkDrills(plan, names, report);
  checkDrillable(plan, report);
  checkNotifications(plan, report);
  if (names.databases?.length === 0)
    report(['databases'], 'the plan protects nothing: no database is named', {
      at: 'key',
      hint: 'name at least one, or type: lifeboat init',
    });
  return findings;
}

function checkDatabase(path: Path, database: unknown, { hosts }: Names, report: Report): void {
  const postgres = map(map(database)?.postgres);
  if (postgres) {
    const at = [...path, 'postgres'];
    known('host', postgres.primary, hosts, [...at, 'primary'], report);
    const standbys = list(postgres.standbys);
    for (const [i, standby] of standbys.entries()) {
      known('host', standby, hosts, [...at, 'standbys', i], report);
      if (typeof standby !== 'string') continue;
      if (standby === postgres.primary)
        report([...at, 'standbys', i], `"${standby}" is the primary, and cannot be its own standby`, {
          found: standby,
          hint: 'remove it from the standbys',
        });
      if (standbys.indexOf(standby) < i)
        report([...at, 'standbys', i], `"${standby}" stands twice among the standbys`, {
          found: standby,
          hint: 'remove one of them',
        });
    }
    for (const field of ['dataDirectory', 'port', 'socketDirectory'])
      checkPerHost([...at, field], postgres[field], [...new Set(hostsOf(postgres))], hosts, report);
  }
}

/** A map with a value for each host must have one for every host of the database, and for no other. */
function checkPerHost(path: Path, value: unknown, used: string[], hosts: string[] | undefined, report: Report): void {
  const perHost = map(value);
  if (!perHost) return;
  // A host that is misspelt elsewhere is a problem there; here it would only be a second one.
  const misspelt = hosts !== undefined && used.some((host) => !hosts.includes(host));
  for (const host of used) {
    if (hosts && !hosts.includes(host)) continue;
    if (!Object.hasOwn(perHost, host)) {
      report([...path, host], `"${host}" is missing: the database is on that host too`, {
        at: 'key',
        expected: `a value for each of ${used.join(', ')}`,
      });
    }
  }
  for (const host of Object.keys(perHost)) {
    if (used.includes(host)) continue;
    const isHost = hosts?.includes(host) === true;
    if (isHost && misspelt) continue;
    const message = isHost ? `the database is not on host "${host}"` : `unknown host "${host}"`;
    const hint = isHost ? 'remove it, or add the host to the standbys' : suggestion(host, hosts ?? used, 'host');
    report([...path, host], message, { at: 'key', found: host, hint });
  }
}

/** Two databases on one host need a data directory and a port each. */
function checkNeighbours(plan: RawMap, report: Report): void {
  for (const field of ['dataDirectory', 'port'] as const) {
    const taken = new Map<string, string>();
    for (const [name, database] of entries(plan.databases)) {
      const postgres = map(map(database)?.postgres);
      // A managed database has no port on the host that dumps it.
      if (!postgres || (field === 'port' && postgres.dataDirectory === undefined)) continue;
      for (const host of new Set(hostsOf(postgres))) {
        const value = at(postgres[field] ?? (field === 'port' ? 5432 : undefined), host);
        if (typeof value !== 'string' && typeof value !== 'number') continue;
        const place = `${host} ${String(value).replace(/(?<=.)\/+$/, '')}`;
        const other = taken.get(place);
        if (other === undefined) {
          taken.set(place, name);
          continue;
        }
        const path = ['databases', name, 'postgres', field, ...(map(postgres[field]) ? [host] : [])];
        const what = field === 'port' ? `port ${value}` : `data directory ${value}`;
        report(path, `${what} on host "${host}" belongs to database "${other}" already`, {
          found: String(value),
          hint: `give "${name}" its own`,
        });
      }
    }
  }
}

function checkService(path: Path, value: unknown, names: Names, report: Report): void {
  const service = map(value);
  known('database', service?.database, names.databases, [...path, 'database'], report);
  for (const [i, host] of list(service?.hosts).entries())
    known('host', host, names.hosts, [...path, 'hosts', i], report);
  const url = map(service?.health)?.url;
  for (const [placeholder] of typeof url === 'string' ? url.matchAll(/\{[^}]*\}/g) : []) {
    if (placeholder === '{host}') continue;
    report([...path, 'health', 'url'], `${placeholder} stands for nothing`, {
      found: placeholder,
      hint: 'only {host} is filled in: the address of the host',
    });
  }
}

function checkPeople(plan: RawMap, { contacts }: Names, report: Report): void {
  const people = map(plan.people);
  if (!people || !contacts?.length) return;
  for (const [role, person] of entries(people.roles))
    known('person', person, contacts, ['people', 'roles', role], report, 'people.contacts');
  for (const [i, person] of list(people.onCall).entries())
    known('person', person, contacts, ['people', 'onCall', i], report, 'people.contacts');
}

function checkDrills(plan: RawMap, { databases }: Names, report: Report): void {
  for (const [i, drill] of list(plan.drills).entries()) {
    const given = map(drill)?.database;
    known('database', given, databases, ['drills', i, 'database'], report);
    if (map(drill) && given === undefined && databases && databases.length > 1) {
      report(['drills', i, 'database'], '"database" is missing: the plan has more than one', {
        at: 'key',
        kind: 'missing',
        expected: `one of ${databases.join(', ')}`,
      });
    }
  }
}

/** A user without a password, or the other way round, logs nobody in. */
function checkNotifications(plan: RawMap, report: Report): void {
  const email = map(map(plan.notifications)?.email);
  if (!email) return;
  for (const [has, lacks, expected] of [
    ['user', 'password', 'a reference to a secret: env:NAME or file:PATH'],
    ['password', 'user', 'the name that logs in'],
  ] as const) {
    if (email[has] === undefined || email[lacks] !== undefined) continue;
    report(['notifications', 'email', lacks], `"${lacks}" is missing: it goes with "${has}"`, {
      at: 'key',
      kind: 'missing',
      expected,
      hint: 'give both, or neither when the server asks for none',
    });
  }
}
