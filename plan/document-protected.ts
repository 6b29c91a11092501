import { hostAddress, servicesOf, placeOf } from './access.js';
import { code, plain, table } from './markdown.js';
import type { Plan } from './schema.js';
import { controlCommand, describeCron, planDuration, sentenceList } from './words.js';

/** The chapter of the printed document that says what is protected: databases, backups, locations, hosts, services, verification. Gives lines of Markdown. Pure. */
export function protectedThings(plan: Plan): string[] {
  const databases = Object.entries(plan.databases);
  return [
    '## What is protected',
    '',
    '### Databases',
    '',
    ...table(
      ['Database', 'Name in PostgreSQL', 'Primary', 'Standbys', 'Data directory', 'Port', 'Services that write to it'],
      databases.map(([name, { name: inPostgres, postgres }]) => [
        plain(name),
        code(inPostgres),
        plain(postgres.primary),
        plain(sentenceList(postgres.standbys)),
        postgres.dataDirectory === undefined ? 'none: dumps alone' : perHost(postgres.dataDirectory),
        perHost(postgres.port),
        plain(sentenceList(servicesOf(plan, name))),
      ]),
    ),
    '### Backups',
    '',
    ...table(
      ['Database', 'Full', 'Differential', 'Incremental', 'Kept', 'Locations, in the order of preference'],
      databases.map(
        ([
          name,
          {
            backups: { physical },
          },
        ]) => [
          plain(name),
          schedule(physical?.full),
          schedule(physical?.differential),
          schedule(physical?.incremental),
          physical ? `${physical.keep.full} full backups, and what is based on them` : 'none',
          plain(physical?.locations.join(', ') ?? ''),
        ],
      ),
    ),
    'Between backups, PostgreSQL archives its WAL to the same locations all the time, so that any moment in between can be restored. `lifeboat backup list` shows what is there.',
    '',
    '### Locations',
    '',
    ...table(
      ['Location', 'Directory', 'Encrypted with'],
      Object.entries(plan.locations).map(([name, location]) => [
        plain(name),
        code(placeOf(location)),
        location.encryption ? code(location.encryption) : '**not encrypted**',
      ]),
    ),
    '### Hosts',
    '',
    ...table(
      ['Host', 'Address', 'Region', 'What is on it'],
      Object.keys(plan.hosts).map((host) => [
        plain(host),
        code(hostAddress(plan, host)),
        plain(plan.hosts[host]!.region),
        plain(sentenceList(onHostNow(plan, host), 'nothing')),
      ]),
    ),
    ...services(plan),
    '### How a restored copy is verified',
    '',
    'Always: the structure of every table and index (amcheck), zero pages, and the age of the canary. Besides:',
    '',
    ...table(
      ['Database', 'Rows counted', 'Queries, and what they must give'],
      databases.map(([name, { verify }]) => [
        plain(name),
        sentenceList(
          Object.entries(verify.rows).map(
            ([table_, { maxDrop }]) => `${code(table_)} (${maxDrop ? `at most ${formatPercent(maxDrop)}` : 'not one'} fewer)`,
          ),
          'none named',
        ),
        sentenceList(
          verify.queries.map(({ sql, expect }) => `${code(sql)}: ${code(String(expect))}`),
          'none named',
        ),
      ]),
    ),
  ];
}

function services(plan: Plan): string[] {
  const rows = Object.entries(plan.services).map(([name, service]) => [
    plain(name),
    plain(sentenceList(service.hosts)),
    plain(service.database ?? 'none'),
    code(controlCommand(service.control, 'stop')),
    code(controlCommand(service.control, 'start')),
    `${code(service.health.url)} within ${planDuration(service.health.within)}`,
  ]);
  return rows.length === 0
    ? []
    : ['### Services', '', ...table(['Service', 'Hosts', 'Database', 'Stops with', 'Starts with', 'Health'], rows)];
}

// --- words ---

const schedule = (cron: string | undefined): string => (cron === undefined ? 'not scheduled' : describeCron(cron));
const formatPercent = (fraction: number): string => `${Number((fraction * 100).toFixed(4))}%`;

function perHost(value: string | number | Record<string, string | number>): string {
  if (typeof value !== 'object') return code(String(value));
  return Object.entries(value)
    .map(([host, each]) => `${plain(host)}: ${code(String(each))}`)
    .join(', ');
}

function onHostNow(plan: Plan, host: string): string[] {
  const databases = Object.entries(plan.databases).flatMap(([name, { postgres }]) => {
    if (postgres.primary === host) return [`database ${name} (primary)`];
    return postgres.standbys.includes(host) ? [`database ${name} (standby)`] : [];
  });
  return [
    ...databases,
    ...Object.keys(plan.services)
      .filter((name) => plan.services[name]!.hosts.includes(host))
      .map((name) => `service ${name}`),
  ];
}
