import { dirname, join } from 'node:path';
import { onHost, physicalOf } from '../../plan/access.js';
import { secretOf } from '../context.js';
import { exists, makeDirectory, ownFor, writeWhole } from '../files.js';
import { run, type RunOptions, type RunResult } from '../run.js';
import { type Cluster, dataOwner } from '../postgres/cluster.js';
import { ledger } from '../postgres/server.js';

/** Driving pgBackRest: its configuration is written from the plan, never by hand. Source: pgbackrest.org/configuration.html */

const home = (cluster: Cluster) => join(cluster.context.state, 'pgbackrest');
export const configFile = (cluster: Cluster): string => join(home(cluster), `${cluster.database}.conf`);

/** The locations of a database in the order of the plan; the first is pgBackRest's repo1. */
export const locationsOf = (cluster: Cluster): string[] => physicalOf(cluster.plan).locations;
export const repoNumber = (cluster: Cluster, location: string): number => locationsOf(cluster).indexOf(location) + 1;

/** Writes the configuration, readable by the owner of the data alone since it holds the passphrases. Returns its path. */
export async function writeConfig(
  cluster: Cluster,
  { file = configFile(cluster), locations = locationsOf(cluster) } = {},
): Promise<string> {
  const owner = await dataOwner(cluster);
  const { context, plan } = cluster;
  const repos: string[] = [];
  for (const name of locations) {
    const location = context.plan.locations[name]!;
    const repo = `repo${repoNumber(cluster, name)}`;
    repos.push(`${repo}-path=${location.directory}`, `${repo}-retention-full=${physicalOf(plan).keep.full}`);
    if (location.encryption) {
      repos.push(`${repo}-cipher-type=aes-256-cbc`, `${repo}-cipher-pass=${await secretOf(context, location.encryption)}`);
    }
  }
  for (const part of ['log', 'lock', 'spool']) {
    await makeDirectory(home(cluster), owner, 0o755);
    await makeDirectory(join(home(cluster), part), owner, 0o750);
  }
  await ownFor(home(cluster), owner);
  const text = [
    '# Written by Lifeboat from the plan; changes made here are lost.',
    '[global]',
    ...repos,
    `log-path=${join(home(cluster), 'log')}`,
    `lock-path=${join(home(cluster), 'lock')}`,
    `spool-path=${join(home(cluster), 'spool')}`,
    'log-level-file=off',
    'log-level-console=info',
    'start-fast=y',
    'process-max=2',
    'compress-type=zst',
    `[${cluster.stanza}]`,
    `pg1-path=${cluster.dataDirectory}`,
    `pg1-port=${cluster.port}`,
    `pg1-socket-path=${cluster.socketDirectory}`,
    `pg1-user=${plan.postgres.user}`,
    `pg1-database=postgres`,
    '',
  ].join('\n');
  await writeWhole(file, text, { owner, mode: 0o600 });
  return file;
}

/** Runs pgBackRest for a database as the owner of its data. Throws ToolMissing, CommandFailed. */
export async function pgbackrest(cluster: Cluster, args: string[], options: RunOptions = {}, config?: string): Promise<RunResult> {
  const file = config ?? (await writeConfig(cluster));
  const { password } = cluster.plan.postgres;
  return run('pgbackrest', [`--config=${file}`, `--stanza=${cluster.stanza}`, ...args], {
    owner: await dataOwner(cluster),
    ...options,
    env: { ...(password ? { PGPASSWORD: await secretOf(cluster.context, password) } : {}), ...options.env },
  });
}

/** The command by which PostgreSQL archives: no secret is in it. */
export const archiveCommand = (cluster: Cluster): string =>
  `pgbackrest --config=${configFile(cluster)} --stanza=${cluster.stanza} archive-push %p`;
export const restoreCommand = (cluster: Cluster): string =>
  `pgbackrest --config=${configFile(cluster)} --stanza=${cluster.stanza} archive-get %f "%p"`;

/** Written once a stanza was made at a location: one that is missing there later is a disk that is not mounted, and never to be filled. */
const seenFile = (cluster: Cluster, location: string) => join(home(cluster), `${cluster.database}-${location}.seen`);

/**
 * Creates the stanza at the locations that have none yet. Returns, for each that cannot be used, why: a missing mount must not be filled by
 * mistake, and the others go on without it.
 */
export async function createStanzas(cluster: Cluster, locations: string[]): Promise<Record<string, string>> {
  const owner = await dataOwner(cluster);
  const unusable: Record<string, string> = {};
  for (const name of locations) {
    const directory = cluster.context.plan.locations[name]!.directory!;
    if (await exists(seenFile(cluster, name))) {
      unusable[name] = `its backups are not there any more: is ${directory} mounted on ${cluster.context.host}?`;
    } else if (!(await exists(dirname(directory)))) {
      unusable[name] = `${dirname(directory)} is not there on ${cluster.context.host}: is its disk mounted?`;
    } else await makeDirectory(directory, owner, 0o750);
  }
  const usable = locations.filter((name) => !(name in unusable));
  if (usable.length === 0) return unusable;
  // stanza-create works on every location of its configuration, and one that cannot be reached would fail it for all.
  const config = await writeConfig(cluster, { file: join(home(cluster), `${cluster.database}-new.conf`), locations: usable });
  await pgbackrest(cluster, ['stanza-create'], { ledger: ledger(cluster, 'pgbackrest-stanza-create') }, config);
  return unusable;
}

/** Remembers that these locations have this database's backups. */
export async function noteSeen(cluster: Cluster, locations: string[]): Promise<void> {
  for (const name of locations) if (!(await exists(seenFile(cluster, name)))) await writeWhole(seenFile(cluster, name), '');
}

/** One backup, as pgBackRest lists it. Times in seconds since 1970, sizes in bytes. */
export interface BackupSet {
  label: string;
  type: 'full' | 'diff' | 'incr';
  location: string;
  startedAt: number;
  stoppedAt: number;
  databaseBytes: number;
  repositoryBytes: number;
  walStart: string;
  walStop: string;
  lsnStop: string;
  /** pgBackRest found page checksum errors while it took this backup. */
  pageErrors: boolean;
  annotations: Record<string, string>;
}

export interface RepositoryInfo {
  backups: BackupSet[];
  systemIdentifier: string | undefined;
  /** Locations that could not be read, with why. */
  unreadable: Record<string, string>;
}

interface InfoJson {
  backup?: {
    annotation?: Record<string, string>;
    archive: { start: string | null; stop: string | null };
    database: { 'repo-key': number };
    error: boolean | null;
    info: { size: number; repository: { delta: number; size?: number } };
    label: string;
    lsn?: { start: string; stop: string };
    timestamp: { start: number; stop: number };
    type: 'full' | 'diff' | 'incr';
  }[];
  db?: { 'system-id': number | string }[];
  repo?: { key: number; status: { code: number; message: string } }[];
}

/** Lists every backup at every location, newest first. A location that cannot be read is named, and the others still listed. */
export async function repositoryInfo(cluster: Cluster): Promise<RepositoryInfo> {
  const info: RepositoryInfo = { backups: [], systemIdentifier: undefined, unreadable: {} };
  for (const location of locationsOf(cluster)) {
    const repo = repoNumber(cluster, location);
    try {
      const { stdout } = await pgbackrest(cluster, [
        `--repo=${repo}`,
        '--output=json',
        '--log-level-console=off',
        '--log-level-stderr=error',
        'info',
      ]);
      // JSON.parse would round the system identifier, which has more digits than a double.
      const parsed = (JSON.parse(stdout.replace(/"system-id":(\d+)/g, '"system-id":"$1"')) as InfoJson[])[0];
      const status = parsed?.repo?.find(({ key }) => key === repo)?.status;
      // 0: ok; 2: no backups yet. 1, 3 and above: no stanza here, or it cannot be read.
      if (status && status.code !== 0 && status.code !== 2) info.unreadable[location] = status.message;
      info.systemIdentifier ??= parsed?.db?.at(-1)?.['system-id'] as string | undefined;
      for (const backup of parsed?.backup ?? []) {
        info.backups.push({
          label: backup.label,
          type: backup.type,
          location,
          startedAt: backup.timestamp.start,
          stoppedAt: backup.timestamp.stop,
          databaseBytes: backup.info.size,
          repositoryBytes: backup.info.repository.size ?? backup.info.repository.delta,
          walStart: backup.archive.start ?? '',
          walStop: backup.archive.stop ?? '',
          lsnStop: backup.lsn?.stop ?? '0/0',
          pageErrors: backup.error === true,
          annotations: backup.annotation ?? {},
        });
      }
    } catch (error) {
      info.unreadable[location] = (error as Error).message;
    }
  }
  const order = (backup: BackupSet) => locationsOf(cluster).indexOf(backup.location);
  // One run takes a backup at each location, one after the other: they count as equally new, and the plan's order of locations decides.
  const runs = new Map<string, number>();
  const runOf = (backup: BackupSet) => backup.annotations['lifeboat-run'] ?? `${backup.location} ${backup.label}`;
  for (const backup of info.backups) runs.set(runOf(backup), Math.max(backup.stoppedAt, runs.get(runOf(backup)) ?? 0));
  info.backups.sort((a, b) => runs.get(runOf(b))! - runs.get(runOf(a))! || order(a) - order(b) || b.stoppedAt - a.stoppedAt);
  return info;
}

/** The port of the database on its primary. */
export const primaryPort = (cluster: Cluster): number => onHost(cluster.plan.postgres.port, cluster.plan.postgres.primary);
