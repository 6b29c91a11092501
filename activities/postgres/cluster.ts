import { constants } from 'node:fs';
import { access, lstat, readdir, readlink, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { onHost } from '../../plan/access.js';
import type { DatabasePlan } from '../../plan/schema.js';
import { type HostContext, secretOf } from '../context.js';
import { failure } from '../errors.js';
import { ownerOf, run, type Owner } from '../run.js';
import { readFile } from '../files.js';
import { type Known, readKnown } from './known-configuration.js';
import { isMounted, mountOf } from './mounts.js';

/** A database of the plan as it stands on one host. */
export interface Cluster {
  /** Its name in the plan. */
  database: string;
  plan: DatabasePlan;
  context: HostContext;
  /**
   * With links resolved: it is renamed, copies go beside it, and an incident's hold on it is the same by whichever name
   * it is reached.
   */
  dataDirectory: string;
  /** As the plan names it, when that leads there by a link. */
  named?: string;
  port: number;
  socketDirectory: string;
  /** pgBackRest's name for it. */
  stanza: string;
  /** The one location that may be used: a test of a location must not be helped by another one. */
  only?: string;
  /**
   * There is no database here, only a directory in which backups are restored to be tested. Its data directory never
   * exists: it gives the copies beside it their names. Nothing that changes a database gets such a cluster ({@link
   * clusterOf} gives none).
   */
  scratchOnly?: true;
}

/**
 * Where the data directories of a plan really are. They are looked up once, when an agent begins: a name that leads
 * elsewhere later is refused.
 */
const directories = new Map<string, string>();

/** Looks where the data directories of this host really are. What is not there, or does not answer, keeps its name. */
export async function resolveDirectories({ plan, host }: Pick<HostContext, 'plan' | 'host'>): Promise<void> {
  for (const { postgres } of Object.values(plan.databases)) {
    if (postgres.dataDirectory === undefined || ![postgres.primary, ...postgres.standbys].includes(host)) continue;
    const named = onHost(postgres.dataDirectory, host);
    directories.set(named, await realDirectory(named).catch(() => named));
  }
}

/** The directory behind a name, also where that directory is gone and the link to it is still there. */
async function realDirectory(named: string): Promise<string> {
  return realpath(named).catch(async () => {
    const target = await readlink(named).then(
      (to) => resolve(dirname(named), to),
      () => named,
    );
    return join(await realpath(dirname(target)), basename(target));
  });
}

/**
 * Resolves a name out of the plan on this host. Throws BadRequest when the plan has no such database, or not on this
 * host.
 */
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
  const named = onHost(dataDirectory, context.host);
  const real = directories.get(named) ?? named;
  return {
    database,
    plan,
    context,
    dataDirectory: real,
    ...(real === named ? {} : { named }),
    port: onHost(plan.postgres.port, context.host),
    socketDirectory: onHost(plan.postgres.socketDirectory, context.host),
    stanza: `${context.plan.system}-${database}`,
  };
}

/**
 * Where the backups of a database are restored to be tested on this host: in its scratch directory, apart from any
 * database; else beside the database. Throws BadRequest when the host has neither.
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
 * The data directory with links resolved, proven to be one; or what is left of one, where the agent has seen this
 * database run there. Throws WrongTarget when it is anything else, a mount point (which could never be renamed aside),
 * or on a disk that is not mounted.
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
  await demandSameName(cluster, directory);
  const own = await lstat(directory).catch(() => undefined);
  if (!own) {
    await demandLivedHere(cluster, directory, `there is no directory ${where}`);
    return directory;
  }
  const real = await realpath(directory);
  if (own.isSymbolicLink()) {
    // Renaming the link would quarantine nothing, and two plans with two names for one directory would not see each
    // other's hold on it.
    throw failure(
      'WrongTarget',
      `${where} is a link to ${real}`,
      'It was none when the agent began. Start the agent again, and look: lifeboat doctor',
    );
  }
  const missing = await missingOf(real);
  if (missing)
    await demandLivedHere(cluster, directory, `${where} is not a PostgreSQL data directory: it has no ${missing}`);
  if (own.dev !== (await stat(dirname(real))).dev || (await isMounted(real))) {
    throw failure(
      'WrongTarget',
      `${where} is a mount point, and cannot be renamed aside`,
      'Keep the data directory one level below its mount point.',
    );
  }
  return real;
}

async function missingOf(directory: string): Promise<string | undefined> {
  for (const file of ['PG_VERSION', 'global/pg_control']) if (!(await isThere(join(directory, file)))) return file;
  return undefined;
}

const isThere = (path: string) =>
  access(path, constants.F_OK).then(
    () => true,
    () => false,
  );

/** What is missing of the data directory, as on-call reads it; undefined when it could be one. */
export async function whatIsGone({ dataDirectory }: Cluster): Promise<string | undefined> {
  if (!(await isThere(dataDirectory))) return `the data directory is gone: ${dataDirectory}`;
  const missing = await missingOf(dataDirectory);
  if (!missing) return undefined;
  const empty = (await readdir(dataDirectory)).length === 0;
  return empty ? `the data directory is empty: ${dataDirectory}` : `the data directory has no ${missing} any more`;
}

/** The link in the plan must still lead where it led when the agent began. */
async function demandSameName({ named, dataDirectory, context }: Cluster, directory: string): Promise<void> {
  if (named === undefined || directory !== dataDirectory) return;
  const now = await realDirectory(named).catch(() => named);
  if (now === dataDirectory) return;
  throw failure(
    'WrongTarget',
    `${named} on ${context.host} leads to ${now}, and led to ${dataDirectory} when the agent began`,
    'If that is as it should be, start the agent again.',
  );
}

/**
 * A directory that is gone, or is none any more, is a disaster only where this database was seen to live: a wrong path
 * in the plan and a disk that is not mounted look the same. Throws WrongTarget with what was found.
 */
async function demandLivedHere(cluster: Cluster, directory: string, found: string): Promise<Known> {
  const known = await readKnown(cluster);
  const correct = 'Correct dataDirectory in the plan; SHOW data_directory on the server says it.';
  if (!known)
    throw failure('WrongTarget', found, `The agent of ${cluster.context.host} has never seen it run there. ${correct}`);
  if (known.real !== directory) throw failure('WrongTarget', found, `It ran in ${known.real}. ${correct}`);
  const parent = dirname(directory);
  const mount = (await isThere(parent)) ? await mountOf(parent) : '';
  if (mount !== known.mount)
    throw failure(
      'WrongTarget',
      `${found}; it was on what is mounted at ${known.mount ?? parent}, and that is not there`,
      `Mount its disk on ${cluster.context.host}, then look again: lifeboat doctor`,
    );
  return known;
}

/**
 * Who owns the data: PostgreSQL's programs run as that user. While the directory is renamed, what lies beside it under
 * its name says who.
 */
export async function dataOwner(cluster: Cluster): Promise<Owner | undefined> {
  const known = (await isThere(join(cluster.dataDirectory, 'PG_VERSION'))) ? undefined : await readKnown(cluster);
  if (known && known.real === cluster.dataDirectory) return known.owner;
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
  for (const beside of version ? [] : await besideOf(cluster).catch(() => []))
    version ||= (await versionOf(beside)).trim();
  version ||= (await readKnown(cluster))?.version ?? '';
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
  // It prints what it reads all the same: numbers of a damaged file, which would name another cluster and another
  // timeline.
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
