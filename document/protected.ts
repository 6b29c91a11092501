import { hostAddress, servicesOf, placeOf } from '../plan/access.js';
import { backups } from './backups.js';
import { code, plain, table } from '../plan/markdown.js';
import type { LocationPlan, Plan } from '../plan/schema.js';
import { controlCommand, planDuration, sentenceList } from '../plan/words.js';

/**
 * The chapter of the printed document that says what is protected: databases, backups of every kind, locations, hosts,
 * services, verification. Gives lines of Markdown. Pure.
 */
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
        postgres.dataDirectory === undefined
          ? `none: dumps alone, through ${code(postgres.url ?? 'its URL')}`
          : perHost(postgres.dataDirectory),
        postgres.dataDirectory === undefined ? 'in the URL' : perHost(postgres.port),
        plain(sentenceList(servicesOf(plan, name))),
      ]),
    ),
    ...backups(plan),
    '### Locations',
    '',
    ...table(
      ['Location', 'What it is', 'Where', 'Encrypted with'],
      Object.entries(plan.locations).map(([name, location]) => [
        plain(name),
        kindWords(location),
        code(placeOf(location)),
        location.encryption ? code(location.encryption) : '**not encrypted**',
      ]),
    ),
    '### Hosts',
    '',
    ...table(
      ['Host', 'Address', 'Region', 'What is on it', 'Scratch directory'],
      Object.keys(plan.hosts).map((host) => [
        plain(host),
        code(hostAddress(plan, host)),
        plain(plan.hosts[host]!.region),
        plain(sentenceList(onHostNow(plan, host), 'nothing')),
        plan.hosts[host]!.scratch ? code(plan.hosts[host]!.scratch) : 'none',
      ]),
    ),
    ...services(plan),
    '### How a restored copy is verified',
    '',
    'Always: the structure of every table and index (amcheck), zero pages, and the age of the canary; a dump must be restored without a single error. Besides:',
    '',
    ...table(
      ['Database', 'Rows counted', 'Queries, and what they must give'],
      databases.map(([name, { verify }]) => [
        plain(name),
        sentenceList(
          Object.entries(verify.rows).map(
            ([table_, { maxDrop }]) =>
              `${code(table_)} (${maxDrop ? `at most ${formatPercent(maxDrop)}` : 'not one'} fewer)`,
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

/** What kind of place a location is, and where it stands when it says so. */
function kindWords({ s3, azure, gcs, sftp }: LocationPlan): string {
  if (s3) return s3.endpoint ? `S3-compatible storage at ${code(s3.endpoint)}` : `Amazon S3, ${plain(s3.region)}`;
  if (azure) return azure.endpoint ? `Azure Blob Storage at ${code(azure.endpoint)}` : 'Azure Blob Storage';
  if (gcs) return gcs.endpoint ? `Google Cloud Storage at ${code(gcs.endpoint)}` : 'Google Cloud Storage';
  return sftp ? `a server, by SFTP on port ${sftp.port}` : 'a directory';
}

const formatPercent = (fraction: number): string => `${Number((fraction * 100).toFixed(4))}%`;

function perHost(value: string | number | Record<string, string | number>): string {
  if (typeof value !== 'object') return code(String(value));
  return Object.entries(value)
    .map(([host, each]) => `${plain(host)}: ${code(String(each))}`)
    .join(', ');
}

function onHostNow(plan: Plan, host: string): string[] {
  const databases = Object.entries(plan.databases).flatMap(([name, { postgres }]) => {
    if (postgres.primary === host)
      return [postgres.dataDirectory === undefined ? `dumps of database ${name}` : `database ${name} (primary)`];
    return postgres.standbys.includes(host) ? [`database ${name} (standby)`] : [];
  });
  const tests = Object.entries(plan.databases).flatMap(
    ([
      name,
      {
        backups: { verification, restoreTest },
      },
    ]) => ([verification?.host, restoreTest?.host].includes(host) ? [`test restores of ${name}`] : []),
  );
  return [
    ...databases,
    ...tests,
    ...(['files', 'redis', 'code'] as const).flatMap((kind) =>
      Object.keys(plan[kind])
        .filter((name) => plan[kind][name]?.host === host)
        .map((name) => `${kind} ${name}`),
    ),
    ...Object.keys(plan.services)
      .filter((name) => plan.services[name]!.hosts.includes(host))
      .map((name) => `service ${name}`),
  ];
}
