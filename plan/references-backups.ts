import { kindsOf } from './references-locations.js';
import {
  dataDirectories,
  directory,
  entries,
  hostsOf,
  isWithin,
  keys,
  known,
  knownLocations,
  list,
  map,
  type Names,
  type RawMap,
  type Report,
  valueOf,
} from './references-raw.js';
import type { Path } from './show.js';

/** Whether what is backed up can be: the kinds of a database, who tests them, files, Redis servers, code. Pure. */
export function checkBackups(plan: RawMap, names: Names, report: Report): void {
  for (const [name, database] of entries(plan.databases))
    checkDatabaseBackups(['databases', name], map(database), plan, names, report);
  for (const kind of ['files', 'redis', 'code'] as const) {
    for (const [name, value] of entries(plan[kind])) {
      const component = map(value);
      known('host', component?.host, names.hosts, [kind, name, 'host'], report);
      checkKept([kind, name], component, names, report);
      if (kind === 'files') checkPaths([kind, name], component, plan, report);
      if (kind === 'code') checkRepositories([kind, name], component, report);
    }
  }
  checkScratch(plan, report);
}

function checkDatabaseBackups(
  path: Path,
  database: RawMap | undefined,
  plan: RawMap,
  names: Names,
  report: Report,
): void {
  const postgres = map(database?.postgres);
  const backups = map(database?.backups);
  if (postgres && postgres.dataDirectory === undefined) {
    if (postgres.url === undefined)
      report([...path, 'postgres', 'dataDirectory'], '"dataDirectory" is missing', {
        at: 'key',
        kind: 'missing',
        expected:
          'an absolute path, such as /var/lib/postgresql/15/main; or "url" for a managed database, of which dumps alone are possible',
      });
    else if (backups?.physical !== undefined)
      report(
        [...path, 'backups', 'physical'],
        'physical backups need "dataDirectory": they are taken from the files of the server',
        {
          at: 'key',
          hint: 'take "logical" backups of a managed database',
        },
      );
    if (list(postgres.standbys).length > 0)
      report(
        [...path, 'postgres', 'standbys'],
        'standbys need "dataDirectory": Lifeboat rebuilds them on their hosts',
        {
          at: 'key',
          hint: 'those of a managed database are its provider\'s: remove "standbys"',
        },
      );
  }
  if (!backups) return;
  const here = [...path, 'backups'];
  if (backups.physical === undefined && backups.logical === undefined)
    report(here, 'no kind of backup is named: nothing would be backed up', {
      at: 'key',
      kind: 'missing',
      expected: '"physical", "logical", or both',
    });
  const physical = map(backups.physical);
  knownLocations(physical?.locations, names, [...here, 'physical', 'locations'], report);
  if (physical?.engine === 'wal-g') checkWalG([...here, 'physical', 'locations'], physical, plan, report);
  checkKept([...here, 'logical'], map(backups.logical), names, report);
  for (const test of ['verification', 'restoreTest']) {
    const host = map(backups[test])?.host;
    if (!known('host', host, names.hosts, [...here, test, 'host'], report)) continue;
    const own = postgres ? hostsOf(postgres) : [];
    if (own.includes(host) || map(valueOf(plan.hosts, host))?.scratch !== undefined) continue;
    report(
      [...here, test, 'host'],
      `there is no place on host "${host}" to restore to: the database is not on it, and it has no "scratch"`,
      {
        found: host,
        hint: `add scratch: /some/directory to hosts.${host}${own.length > 0 ? `, or name ${own.join(' or ')}` : ''}`,
      },
    );
  }
}

/** Locations and rules of what is kept: a rule less than one would keep nothing. */
function checkKept(path: Path, component: RawMap | undefined, names: Names, report: Report): void {
  knownLocations(component?.locations, names, [...path, 'locations'], report);
  const keep = map(component?.keep);
  if (keep && Object.keys(keep).length === 0)
    report([...path, 'keep'], 'no rule is named: nothing would be kept', {
      expected: 'at least one of last, daily, monthly, for',
    });
}

/** Source: https://wal-g.readthedocs.io/STORAGES/ ; its Azure and SSH storages are not driven by Lifeboat. */
function checkWalG(path: Path, physical: RawMap, plan: RawMap, report: Report): void {
  for (const [i, name] of list(physical.locations).entries()) {
    const [kind] = typeof name === 'string' ? kindsOf(valueOf(plan.locations, name)) : [];
    if (kind === undefined || ['directory', 's3', 'gcs'].includes(kind)) continue;
    report([...path, i], `wal-g keeps no backups at "${String(name)}", which is of kind ${kind}`, {
      found: String(name),
      expected: 'a location of kind directory, s3 or gcs',
      hint: 'name another one, or take engine: pgbackrest',
    });
  }
}

/** A copy of the files of a running server cannot be restored, and backups that back themselves up grow for ever. */
function checkPaths(path: Path, files: RawMap | undefined, plan: RawMap, report: Report): void {
  const own = list(files?.locations).flatMap((name) => {
    const place = typeof name === 'string' ? directory(map(valueOf(plan.locations, name))?.directory) : undefined;
    return place === undefined || list(files?.exclude).includes(place) ? [] : [place];
  });
  for (const [i, value] of list(files?.paths).entries()) {
    const given = directory(value);
    if (given === undefined) continue;
    const data = dataDirectories(plan).find((each) => each.host === files?.host && isWithin(given, each.directory));
    if (data)
      report([...path, 'paths', i], `this is inside of the data directory of database "${data.database}"`, {
        found: given,
        hint: 'a copy of the files of a running server cannot be restored: give the database backups of its own',
      });
    const place = own.find((each) => isWithin(each, given));
    if (place !== undefined)
      report(
        [...path, 'paths', i],
        `this holds ${place}, where these backups go: each would be backed up by the next`,
        {
          found: given,
          hint: `add ${place} to "exclude", or keep them elsewhere`,
        },
      );
  }
}

/** A URL is printed, stored and shown: no secret may be in it. */
function checkRepositories(path: Path, code: RawMap | undefined, report: Report): void {
  for (const [name, url] of entries(code?.repositories)) {
    if (typeof url !== 'string' || !/^(https?:\/\/[^/@]+@|[a-z+]+:\/\/[^/@:]*:[^/@]+@)/i.test(url)) continue;
    report([...path, 'repositories', name], 'there are credentials in this URL', {
      found: '(hidden)',
      hint: 'use an SSH key or a credential helper of the host, and change the secret: it was in a file',
    });
  }
}

/**
 * What is restored to be tested is removed afterwards: it may not lie among the files of a server, nor they among it.
 */
function checkScratch(plan: RawMap, report: Report): void {
  for (const [host, value] of entries(plan.hosts)) {
    const scratch = directory(map(value)?.scratch);
    if (scratch === undefined) continue;
    const data = dataDirectories(plan).find(
      (each) => each.host === host && (isWithin(scratch, each.directory) || isWithin(each.directory, scratch)),
    );
    if (!data) continue;
    const which = isWithin(scratch, data.directory) ? 'is inside of' : 'holds';
    report(
      ['hosts', host, 'scratch'],
      `the scratch directory ${which} the data directory of database "${data.database}"`,
      {
        found: scratch,
        hint: 'choose a directory apart from it',
      },
    );
  }
}

/** A drill of database-corruption restores physical backups. */
export function checkDrillable(plan: RawMap, report: Report): void {
  const databases = keys(plan.databases) ?? [];
  for (const [i, value] of list(plan.drills).entries()) {
    const drill = map(value);
    if (drill?.scenario !== 'database-corruption') continue;
    const name = drill.database ?? (databases.length === 1 ? databases[0] : undefined);
    if (typeof name !== 'string' || !databases.includes(name)) continue;
    const backups = map(map(valueOf(plan.databases, name))?.backups);
    if (!backups || backups.physical !== undefined || backups.logical === undefined) continue;
    report(
      ['drills', i, drill.database === undefined ? 'scenario' : 'database'],
      `database-corruption cannot be drilled on database "${name}"`,
      {
        found: drill.database === undefined ? 'database-corruption' : name,
        expected: `a database with "physical" backups: the scenario restores from them`,
        hint: 'a dump is tried by "verification" and "restoreTest" of its backups: remove the drill',
      },
    );
  }
}
