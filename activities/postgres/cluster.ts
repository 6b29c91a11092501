import { constants } from 'node:fs';
import { access, readFile, realpath, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { onHost } from '../../plan/access.js';
import type { DatabasePlan } from '../../plan/schema.js';
import { type HostContext, secretOf } from '../context.js';
import { failure } from '../errors.js';
import { ownerOf, run, type Owner } from '../run.js';

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
  return {
    database,
    plan,
    context,
    dataDirectory: onHost(plan.postgres.dataDirectory, context.host),
    port: onHost(plan.postgres.port, context.host),
    socketDirectory: onHost(plan.postgres.socketDirectory, context.host),
    stanza: `${context.plan.system}-${database}`,
  };
}

export function passwordOf(cluster: Cluster): Promise<string | undefined> {
  const { password } = cluster.plan.postgres;
  return password ? secretOf(cluster.context, password) : Promise.resolve(undefined);
}

/**
 * The data directory with links resolved, proven to be one. Throws WrongTarget when it is missing, is not a data directory, or is a mount
 * point (which could never be renamed aside).
 */
export async function provenDataDirectory(cluster: Cluster, directory = cluster.dataDirectory): Promise<string> {
  const where = `${directory} on ${cluster.context.host}`;
  const real = await realpath(directory).catch(() => {
    throw failure(
      'WrongTarget',
      `there is no directory ${where}`,
      'Correct dataDirectory in the plan; SHOW data_directory on the server says it.',
    );
  });
  for (const file of ['PG_VERSION', 'global/pg_control']) {
    await access(join(real, file), constants.F_OK).catch(() => {
      throw failure(
        'WrongTarget',
        `${where} is not a PostgreSQL data directory: it has no ${file}`,
        'Correct dataDirectory in the plan; SHOW data_directory on the server says it.',
      );
    });
  }
  const [own, parent] = await Promise.all([stat(real), stat(dirname(real))]);
  if (own.dev !== parent.dev) {
    throw failure(
      'WrongTarget',
      `${where} is a mount point, and cannot be renamed aside`,
      'Keep the data directory one level below its mount point.',
    );
  }
  return real;
}

/** Who owns the data: PostgreSQL's programs run as that user. */
export async function dataOwner(cluster: Cluster): Promise<Owner | undefined> {
  return ownerOf(cluster.dataDirectory).catch(() => ownerOf(dirname(cluster.dataDirectory)));
}

/** The path of one of PostgreSQL's programs, of the version of this data directory. Throws ToolMissing. */
export async function bin(cluster: Cluster, program: string, directory = cluster.dataDirectory): Promise<string> {
  const version = (await readFile(join(directory, 'PG_VERSION'), 'utf8').catch(() => '')).trim();
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
  const { stdout } = await run(await bin(cluster, 'pg_controldata', directory), ['-D', directory], { owner: await dataOwner(cluster) });
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
