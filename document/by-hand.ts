import { onHost, placeOf, servicesOf, type PhysicalPlan } from '../plan/access.js';
import { fetchLines, pgbackrestLines, resticLines, shell, walgLines } from './by-hand-places.js';
import type { BackupKind } from '../vocabulary/backup.js';
import { block, code, plain } from '../plan/markdown.js';
import type { DatabasePlan, Plan } from '../plan/schema.js';
import { sentenceList } from '../plan/words.js';

/**
 * How everything that the plan backs up is restored by its own tool, when no Lifeboat can be had. Gives lines of
 * Markdown. Pure.
 */

/** A whole database from physical backups. */
export function physicalByHand(plan: Plan, database: string, physical: PhysicalPlan): string[] {
  const { postgres } = plan.databases[database]!;
  const copy = `${onHost(postgres.dataDirectory ?? '', postgres.primary)}.restored-by-hand`;
  const stop = servicesOf(plan, database).map(
    (service) => `${service} on ${sentenceList(plan.services[service]!.hosts)}`,
  );
  return [
    `#### Database ${plain(database)}`,
    '',
    `1. Stop ${plain(sentenceList(stop, 'everything that writes to it'))}, then the server on ${plain(postgres.primary)}.`,
    ...(physical.engine === 'wal-g'
      ? byWalG(plan, database, physical, copy)
      : byPgbackrest(plan, database, physical, copy)),
    '4. Only when the figures are right: stop both servers, rename the old data directory aside, rename the copy into its place, start the server, then the services. Take a new full backup.',
    '',
  ];
}

function byPgbackrest(plan: Plan, database: string, { locations }: PhysicalPlan, copy: string): string[] {
  const stanza = `${plan.system}-${database}`;
  const [first, ...others] = locations.map((name) => ({ name, lines: pgbackrestLines(plan.locations[name]!) }));
  const sftp = locations.some((name) => plan.locations[name]!.sftp);
  return [
    `2. As the user that owns the data, with mode 600, write ${code('by-hand.conf')}${sftp ? ' (SFTP needs pgBackRest 2.46 or newer)' : ''}:`,
    '',
    '   ```ini',
    ...['[global]', ...(first?.lines ?? []), `[${stanza}]`, `pg1-path=${copy}`].map((line) => `   ${line}`),
    '   ```',
    '',
    ...others.flatMap(({ name, lines }) => [
      `   From ${plain(name)} instead, below ${code('[global]')}:`,
      '',
      '   ```ini',
      ...lines.map((line) => `   ${line}`),
      '   ```',
      '',
    ]),
    '3. As the same user (for a moment in the past, add `--type=time --target="YYYY-MM-DD HH:MM:SS+00" --target-action=promote` to the restore):',
    '',
    ...block(
      `pgbackrest --config=$PWD/by-hand.conf --stanza=${stanza} info`,
      `mkdir -m 700 ${copy}`,
      `pgbackrest --config=$PWD/by-hand.conf --stanza=${stanza} --archive-mode=off restore`,
      ...startAndCount(plan.databases[database]!, copy),
    ),
  ];
}

function byWalG(plan: Plan, database: string, { locations }: PhysicalPlan, copy: string): string[] {
  return [
    '2. As the user that owns the data, tell wal-g where the backups are:',
    '',
    ...locations.flatMap((name) =>
      block(`# ${name}`, ...walgLines(plan.locations[name]!, `${plan.system}-${database}`)),
    ),
    "3. In the same shell (for a moment in the past, append `recovery_target_time = 'YYYY-MM-DD HH:MM:SS+00'` and `recovery_target_action = 'promote'` to postgresql.auto.conf before the start):",
    '',
    ...block(
      'wal-g backup-list --detail',
      '# the newest (else its name instead of LATEST); for a moment in the past, one that ended before it',
      `mkdir -m 700 ${copy}`,
      `wal-g backup-fetch ${copy} LATEST`,
      `echo "archive_mode = off" >> ${copy}/postgresql.auto.conf`,
      '# 74: the archive does not have it; anything else must not be taken for the end of the WAL',
      `echo "restore_command = 'wal-g wal-fetch %f %p || { [ \\$? -eq 74 ] && exit 1; exit 126; }'" >> ${copy}/postgresql.auto.conf`,
      `touch ${copy}/recovery.signal`,
      ...startAndCount(plan.databases[database]!, copy),
    ),
  ];
}

function startAndCount({ postgres, verify, name }: DatabasePlan, copy: string): string[] {
  const counted = Object.keys(verify.rows);
  return [
    `pg_ctl -D ${copy} -o "-p 5499" -w -t 3600 start${postgres.configFile ? `   # if it has no postgresql.conf, copy the files beside ${postgres.configFile}` : ''}`,
    ...counting(counted).map((sql) => `psql -p 5499 -d ${shell(name)} -c '${sql}'`),
  ];
}

const counting = (tables: string[]): string[] =>
  tables.length > 0 ? tables.map((each) => `select count(*) from ${quoted(each)}`) : ['select now()'];

/** schema.table or table, so that also a table named User or order is meant. */
const quoted = (table: string): string =>
  table
    .split('.')
    .map((part) => `"${part}"`)
    .join('.');

/** The name of a dump at its location, before its endings. */
const dumpFile = 'database.dump';

/** One database from a dump. */
export function dumpByHand(plan: Plan, database: string): string[] {
  const { postgres, backups, name, verify } = plan.databases[database]!;
  if (!backups.logical) return [];
  const { locations, compression } = backups.logical;
  const restored = `${name}_restored`;
  const server = postgres.url
    ? `# log in as the URL behind ${postgres.url} says: export PGHOST=... PGPORT=... PGUSER=... PGPASSWORD=...`
    : `export PGHOST=${shell(onHost(postgres.socketDirectory, postgres.primary))} PGPORT=${onHost(postgres.port, postgres.primary)} PGUSER=${shell(postgres.user)}   # on ${postgres.primary}`;
  return [
    `#### Database ${plain(database)}, from a dump`,
    '',
    'It goes beside the old one, under another name. `ID` is the name of the newest folder that has an `ID.meta.json` beside it in the list: one without was never finished. That a role exists already is no error.',
    '',
    ...locations.flatMap((location) => {
      const at = plan.locations[location]!;
      const read = (file: string): string =>
        unpacked(`ID/${file}`, { compressed: compression, encrypted: at.encryption !== undefined });
      return [
        `From ${plain(location)}${passphrase(at.encryption)}:`,
        '',
        ...block(
          ...fetchLines(at, prefixOf(plan, 'logical', database)),
          server,
          `${read('globals.sql')} | psql -d postgres`,
          `createdb ${shell(restored)}`,
          `${read(dumpFile)} | pg_restore --exit-on-error --dbname=${shell(restored)}`,
          ...counting(Object.keys(verify.rows)).map((sql) => `psql -d ${shell(restored)} -c '${sql}'`),
        ),
      ];
    }),
    `Only when the figures are right: stop what writes to it, rename ${code(name)} aside (${code('alter database ... rename to ...')}), rename the new one into its place, start the services.`,
    '',
  ];
}

/** Files, Redis servers and code. */
export function othersByHand(plan: Plan): string[] {
  return [
    ...Object.entries(plan.files).flatMap(([name, { locations, paths, host }]) => [
      `#### Files ${plain(name)}`,
      '',
      `${sentenceList(paths.map(code))} of ${plain(host)}, with restic. They go below ${code('restored')}, from where you move them.`,
      '',
      ...fromRestic(plan, 'files', name, locations),
    ]),
    ...Object.entries(plan.redis).flatMap(([name, { locations, host, port }]) => [
      `#### Redis ${plain(name)}`,
      '',
      `The snapshot of the server on ${plain(host)}, port ${port}, with restic. With the server stopped, move ${code('dump.rdb')} into its ${code('dir')} (${code('redis-cli config get dir')}), move its append-only files aside, and start it with ${code('--appendonly no')}; then ${code('redis-cli config set appendonly yes')}.`,
      '',
      ...fromRestic(plan, 'redis', name, locations, ["find restored -name '*.rdb'"]),
    ]),
    ...Object.entries(plan.code).flatMap(([name, { locations, repositories }]) => [
      `#### Code ${plain(name)}`,
      '',
      ...locations.flatMap((location) => {
        const at = plan.locations[location]!;
        return [
          `From ${plain(location)}${passphrase(at.encryption)}:`,
          '',
          ...block(
            ...fetchLines(at, prefixOf(plan, 'code', name)),
            ...Object.keys(repositories).flatMap((repository) => [
              ...(at.encryption ? [`age -d ID/${repository}.bundle.age > ID/${repository}.bundle`] : []),
              `git clone ID/${repository}.bundle ${repository}`,
            ]),
          ),
        ];
      }),
    ]),
  ];
}

function fromRestic(plan: Plan, kind: BackupKind, name: string, locations: string[], more: string[] = []): string[] {
  const tag = `component=${plan.system}/${kind}/${name}`;
  return locations.flatMap((location) => [
    `From ${plain(location)} (${code(placeOf(plan.locations[location]!))}):`,
    '',
    ...block(
      ...resticLines(plan.locations[location]!),
      `restic snapshots --tag ${tag}`,
      `restic restore latest --tag ${tag} --target restored`,
      ...more,
    ),
  ]);
}

/** Where the backups of a component are, below their location. */
const prefixOf = (plan: Plan, kind: BackupKind, component: string): string =>
  `lifeboat/${plan.system}/${kind}/${component}/`;

const passphrase = (encryption: string | undefined): string =>
  encryption ? ` (age asks for the passphrase: what ${code(encryption)} stands for)` : '';

/** The command whose output is the plain file. */
function unpacked(file: string, { compressed, encrypted }: { compressed: boolean; encrypted: boolean }): string {
  const stored = `${file}${compressed ? '.zst' : ''}${encrypted ? '.age' : ''}`;
  if (!encrypted) return `${compressed ? 'zstd -dc' : 'cat'} ${stored}`;
  return `age -d ${stored}${compressed ? ' | zstd -d' : ''}`;
}
