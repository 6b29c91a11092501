import { constants } from 'node:fs';
import { access, lstat, readdir, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { onHost } from '../../plan/access.js';
import type { DatabasePlan } from '../../plan/schema.js';
import { type HostContext, secretOf } from '../context.js';
import { failure } from '../errors.js';
import { ownerOf, run, type Owner } from '../run.js';
import { readFile } from '../files.js';

/** A database of the plan as it stands on one host. */
export interface Cluster {
  /** Its name in the plan. */
  database: string;
  plan: DatabasePlan;
  context: HostContext;
  dataDirectory: string;
  port: number;
  socketDirectory: string;
  /** pgBackRest's name for it. */
  stanza: string;
  /** The one location that may be used: a test of a location must not be helped by another one. */
  only?: string;
  /**
   * There is no database here, only a directory in which backups are restored to be tested. Its data directory never exists: it gives the
   * copies beside it their names. Nothing that changes a database gets such a cluster ({@link clusterOf} gives none).
   */
  scratchOnly?: true;
}

/** Resolves a name out of the plan on this host. Throws BadRequest when the plan has no such database, or not on this host. */
export function clusterOf(context: HostContext, database: string): Cluster {
  const plan = context.plan.databases[database];
  if (!plan) {
    throw failure(
      'BadRequest',
      `the plan of ${context.host} has no database "${database}"`,
      'Is the plan of this host the current one? Compare: lifeboat doctor',
    );
  }
  const { primary, standbys } = plan.postgres;
  if (![primary, ...standbys].includes(context.host)) {
    throw failure(
      'WrongTarget',
      `database ${database} is not on host ${context.host}`,
      `Its hosts are ${[primary, ...standbys].join(', ')}.`,
    );
  }
  const { dataDirectory } = plan.postgres;
  if (dataDirectory === undefined) {
    throw failure(
      'BadRequest',
      `the plan names no data directory of ${database}: it is backed up by dumps alone`,
      'Restore one: lifeboat backup list, then lifeboat backup restore ID',
    );
  }
  return {
    database,
    plan,
    context,
    dataDirectory: onHost(dataDirectory, context.host),
    port: onHost(plan.postgres.port, context.host),
    socketDirectory: onHost(plan.postgres.socketDirectory, context.host),
    stanza: `${context.plan.system}-${database}`,
  };
}

/**
 * Where the backups of a database are restored to be tested on this host: in its scratch directory, apart from any database; else beside
 * the database. Throws BadRequest when the host has neither.
 */
export function testClusterOf(context: HostContext, database: string, only: string): Cluster {
  const scratch = context.plan.hosts[context.host]?.scratch;
  const plan = context.plan.databases[database];
  if (scratch === undefined || !plan) return { ...clusterOf(context, database), only };
  const dataDirectory = join(scratch, `${context.plan.system}-${database}`);
  return {
    ...{ database, plan, context, dataDirectory, only, scratchOnly: true },
    // It listens nowhere; the port is a part of the name of its socket.
    port: onHost(plan.postgres.port, plan.postgres.primary),
    // Not the socket of whoever else runs here.
    socketDirectory: `${dataDirectory}.nowhere`,
    stanza: `${context.plan.system}-${database}`,
  };
}

/** The database as this host can look at its backups: with a data directory, or with a scratch directory alone. */
export function backupClusterOf(context: HostContext, database: string): Cluster {
  const plan = context.plan.databases[database];
  const here = plan && [plan.postgres.primary, ...plan.postgres.standbys].includes(context.host);
  if (here || context.plan.hosts[context.host]?.scratch === undefined || !plan) return clusterOf(context, database);
  const { only: _, ...cluster } = testClusterOf(context, database, '');
  return cluster;
}

export function passwordOf(cluster: Cluster): Promise<string | undefined> {
  const { password } = cluster.plan.postgres;
  // A copy asks for none, and the host may not have it.
  return password && !cluster.scratchOnly ? secretOf(cluster.context, password) : Promise.resolve(undefined);
}

/**
 * The data directory with links resolved, proven to be one. Throws WrongTarget when it is missing, is not a data directory, or is a link or a
 * mount point (which could never be renamed aside).
 */
export async function provenDataDirectory(cluster: Cluster, directory = cluster.dataDirectory): Promise<string> {
  const where = `${directory} on ${cluster.context.host}`;
  if (cluster.scratchOnly && directory === cluster.dataDirectory) {
    throw failure(
      'WrongTarget',
      `there is no database ${cluster.database} on ${cluster.context.host}, only a place where its backups are restored to be tested`,
      'Name the host of the database.',
    );
  }
  const own = await lstat(directory).catch(() => {
    throw failure(
      'WrongTarget',
      `there is no directory ${where}`,
      'Correct dataDirectory in the plan; SHOW data_directory on the server says it.',
    );
  });
  const real = await realpath(directory);
  if (own.isSymbolicLink()) {
    // Renaming the link would quarantine nothing, and two plans with two names for one directory would not see each other's hold on it.
    throw failure('WrongTarget', `${where} is a link to ${real}`, `Name the directory itself as dataDirectory in the plan: ${real}`);
  }
  for (const file of ['PG_VERSION', 'global/pg_control']) {
    await access(join(real, file), constants.F_OK).catch(() => {
      throw failure(
        'WrongTarget',
        `${where} is not a PostgreSQL data directory: it has no ${file}`,
        'Correct dataDirectory in the plan; SHOW data_directory on the server says it.',
      );
    });
  }
  if (own.dev !== (await stat(dirname(real))).dev || (await isMounted(real))) {
    throw failure(
      'WrongTarget',
      `${where} is a mount point, and cannot be renamed aside`,
      'Keep the data directory one level below its mount point.',
    );
  }
  return real;
}

/** A directory that is mounted over another one of the same file system has no device of its own: only the list of mounts says so. */
async function isMounted(real: string): Promise<boolean> {
  const mounts = await readFile('/proc/self/mountinfo', 'utf8').catch(() => '');
  const escaped = real.replace(/[ \t\n\\]/g, (character) => `\\${character.charCodeAt(0).toString(8).padStart(3, '0')}`);
  return mounts.split('\n').some((line) => line.split(' ')[4] === escaped);
}

/** Who owns the data: PostgreSQL's programs run as that user. While the directory is renamed, what lies beside it under its name says who. */
export async function dataOwner(cluster: Cluster): Promise<Owner | undefined> {
  return ownerOf(cluster.dataDirectory).catch(async () => {
    const parent = dirname(cluster.dataDirectory);
    // Of a scratch directory it is the directory itself that the plan's author gave to that user.
    const [beside] = cluster.scratchOnly ? [] : await besideOf(cluster);
    return ownerOf(beside ?? parent);
  });
}

/** Directories that stand beside the data directory under its name: copies, and what was moved aside. */
async function besideOf({ dataDirectory }: Cluster): Promise<string[]> {
  const parent = dirname(dataDirectory);
  return (await readdir(parent, { withFileTypes: true }))
    .filter((entry) => entry.isDirectory() && entry.name.startsWith(`${basename(dataDirectory)}.`))
    .map(({ name }) => join(parent, name));
}

/** The path of one of PostgreSQL's programs, of the version of this data directory. Throws ToolMissing. */
export async function bin(cluster: Cluster, program: string, directory = cluster.dataDirectory): Promise<string> {
  const versionOf = (of: string) => readFile(join(of, 'PG_VERSION'), 'utf8').catch(() => '');
  let version = (await versionOf(directory)).trim();
  // Where there is no data directory, a copy says it.
  for (const beside of version ? [] : await besideOf(cluster).catch(() => [])) version ||= (await versionOf(beside)).trim();
  const places = [
    cluster.plan.postgres.binDirectory,
    version && `/usr/lib/postgresql/${version}/bin`,
    version && `/usr/pgsql-${version}/bin`,
    version && `/opt/homebrew/opt/postgresql@${version}/bin`,
    ...(process.env['PATH'] ?? '').split(':'),
  ];
  for (const place of places) {
    if (!place) continue;
    const path = join(place, program);
    if (
      await access(path, constants.X_OK).then(
        () => true,
        () => false,
      )
    )
      return path;
  }
  throw failure(
    'ToolMissing',
    `${program} of PostgreSQL ${version} is not on ${cluster.context.host}`,
    'Install it, or name its folder as binDirectory in the plan.',
  );
}

export const defaultSegmentBytes = 16 * 1024 * 1024;

export interface ControlData {
  systemIdentifier: string;
  state: string;
  timeline: number;
  checksums: boolean;
  /** Bytes of a WAL segment. */
  segmentBytes: number;
  text: string;
}

/** What pg_controldata says of a data directory. Throws CommandFailed when the control file cannot be read. */
export async function controlData(cluster: Cluster, directory: string): Promise<ControlData> {
  const { stdout, lines } = await run(await bin(cluster, 'pg_controldata', directory), ['-D', directory], {
    owner: await dataOwner(cluster),
    timeout: 60_000,
  });
  // It prints what it reads all the same: numbers of a damaged file, which would name another cluster and another timeline.
  if (lines.some((line) => /Calculated CRC checksum does not match/.test(line)))
    throw failure(
      'CommandFailed',
      `the control file of ${directory} is damaged`,
      'It is not asked any more: the backups say what it said.',
    );
  const field = (label: string) => new RegExp(`^${label}:\\s+(.*)$`, 'm').exec(stdout)?.[1] ?? '';
  return {
    systemIdentifier: field('Database system identifier'),
    state: field('Database cluster state'),
    timeline: Number(field("Latest checkpoint's TimeLineID")),
    checksums: field('Data page checksum version') !== '0',
    segmentBytes: Number(field('Bytes per WAL segment')) || defaultSegmentBytes,
    text: stdout,
  };
}
