import { readdir, realpath } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { protocol } from '../../vocabulary/names.js';
import { formatBytes } from '../../vocabulary/units.js';
import { describeTarget, parseTarget, type Target, TargetError } from '../../vocabulary/target.js';
import { findCandidates, lastKnownCommit } from '../backups/candidates.js';
import { repositoryInfo } from '../backups/engines.js';
import { recallConfiguration } from '../backups/kept-configuration.js';
import type { StandbyWal } from '../backups/standby-wal.js';
import { lsnValue } from '../backups/wal.js';
import { looking } from '../capability.js';
import type { HostContext } from '../context.js';
import { failure, isFailure } from '../errors.js';
import { exists, freeBytes, treeBytes } from '../files.js';
import { claimedBy, claimFile } from '../postgres/claim.js';
import { bin, clusterOf, type Cluster, controlData, provenDataDirectory, whatIsGone } from '../postgres/cluster.js';
import { missingConfiguration } from '../postgres/configuration.js';
import { one, withClient } from '../postgres/connect.js';
import { knownFile, readKnown } from '../postgres/known-configuration.js';
import { neighbourInWords, neighboursOf } from './neighbours.js';
import { describePrepared, preparedTransactions } from '../postgres/prepared.js';

export interface CheckRequestInput {
  database: string;
  incident: string;
  /** As parseTarget reads it; absent: none was given. */
  target?: string;
  /** Of the control worker. */
  protocol?: number;
  /** What standbys have of the WAL, when they were asked. */
  standbys?: StandbyWal[];
}
export interface CheckedRequest {
  summary: string;
  /** What is not as it should be and does not hold up the recovery. */
  warnings: string[];
  /** Of the plan that the agent has. */
  planDigest: string;
  /** Of the agent; absent: it is older than the number. */
  protocol?: number;
}

/**
 * Refuses what cannot work, before anything is stopped: not a data directory, the wrong cluster, a target that no
 * backup can reach, no backup at all, no room. Changes nothing.
 */
export const checkRequest = (context: HostContext) =>
  looking<CheckRequestInput, CheckedRequest>(
    async ({ database, incident, target: text, standbys = [], protocol: theirs = protocol }) => {
      if (theirs < protocol) throw olderControl();
      const cluster = clusterOf(context, database);
      const target = readTarget(text ?? 'latest');
      const { directory, brought } = await placeOf(cluster);
      for (const tool of ['pg_ctl', 'pg_controldata', 'pg_waldump']) await bin(cluster, tool);
      const holder = await claimedBy(cluster);
      if (holder && holder !== incident) {
        throw failure(
          'BadRequest',
          `the data directory of ${database} is held by incident ${holder}`,
          `Close or abort that incident first: lifeboat incidents. If it no longer exists anywhere, remove ${claimFile(cluster)} on ${context.host}.`,
        );
      }
      const warnings = [brought, await whatIsGone(cluster), await missingConfiguration(cluster)].filter(
        (line) => line !== undefined,
      );
      warnings.push(...(await sameCluster(cluster, directory)));
      await demandReachable(cluster, directory, target);
      const { candidates, passedOver } = await findCandidates(cluster, target, directory, { standbys });
      const first = candidates[0];
      if (!first) {
        throw failure(
          'NoBackup',
          passedOver.length === 0
            ? `there is no backup of ${database} at any location`
            : `no backup of ${database} can reach ${describeTarget(target)}`,
          [...passedOver.slice(0, 6), 'See what there is: lifeboat backup list'].join('; '),
        );
      }
      const needed = await demandSpace(cluster, directory, first.databaseBytes);
      return {
        summary: `target ${describeTarget(target)}: ${candidates.length} ${candidates.length === 1 ? 'backup fits' : 'backups fit'}, the newest ${first.label} at ${first.location}; ${needed}`,
        warnings: [
          ...warnings,
          ...(await preparedIn(cluster)),
          ...(await goBackToo(cluster, text ?? 'latest')),
          ...passedOver,
        ],
        planDigest: context.planDigest,
        protocol,
      };
    },
  );

const olderControl = () =>
  failure(
    'ToolMissing',
    'the control worker runs an older Lifeboat than the agent, and would not understand it',
    'Install this version where the control worker runs and start it again: lifeboat worker',
  );

/**
 * The data directory, or where it was: by what this agent has seen, and where that is gone, too, by what is kept with
 * the backups. Throws WrongTarget, which says what is missing of both.
 */
export async function placeOf(cluster: Cluster): Promise<{ directory: string; brought?: string }> {
  const before = await readKnown(cluster);
  const none = await recallConfiguration(cluster);
  const known = before ? undefined : await readKnown(cluster);
  const { host } = cluster.context;
  const brought =
    known && `the agent of ${host} has no notes of ${cluster.database}: what it was is known from ${known.keptWith}`;
  const directory = await provenDataDirectory(cluster).catch((error: unknown) => {
    if (none === undefined || !isFailure(error, 'WrongTarget')) throw error;
    throw failure(
      'WrongTarget',
      `${error.message}; and nothing says that ${cluster.database} was there: the agent of ${host} has no notes of it (${knownFile(cluster)}), and none are kept with its backups: ${none}`,
      `If the path is wrong, correct dataDirectory in the plan (SHOW data_directory on the server says it). If it is right, this is a restore by hand, with the configuration put back by you: lifeboat document prints its commands`,
    );
  });
  return { directory, ...(brought ? { brought } : {}) };
}

/**
 * Prepared transactions hold their locks for ever, also in a restored copy. Of a server that is down nobody can ask.
 */
const preparedIn = (cluster: Cluster): Promise<string[]> =>
  withClient(cluster, { database: 'postgres' }, preparedTransactions).then(
    (found) => found.map(describePrepared),
    () => [],
  );

/** A restore is of the whole cluster. Of a server that is down nobody knows what else is in it. */
async function goBackToo(cluster: Cluster, target: string): Promise<string[]> {
  const others = await withClient(cluster, { database: 'postgres' }, (client) => neighboursOf(cluster, client)).catch(
    () => [],
  );
  if (others.length === 0) return [];
  const how = parseTarget(target).kind === 'latest' ? 'is restored with it' : 'goes back with it, too';
  return [`every other database of the cluster ${how}: ${others.map(neighbourInWords).join('; ')}`];
}

function readTarget(text: string): Target {
  try {
    return parseTarget(text);
  } catch (error) {
    if (error instanceof TargetError) throw failure('BadRequest', error.message, error.hint);
    throw error;
  }
}

/** The cluster on disk must be the one that was backed up: the wrong host was wiped once (GitLab, 2017). */
async function sameCluster(cluster: Cluster, directory: string): Promise<string[]> {
  const control = await controlData(cluster, directory).catch(() => undefined);
  // Of a directory that is gone, what the agent has seen there.
  const known = await readKnown(cluster);
  const found = control?.systemIdentifier ?? (known?.real === directory ? known.systemIdentifier : undefined);
  const { systemIdentifier } = await repositoryInfo(cluster);
  if (found && systemIdentifier && systemIdentifier !== found) {
    throw failure(
      'WrongTarget',
      `${directory} is cluster ${found}, but the backups are of cluster ${systemIdentifier}`,
      'This is not the database that the plan protects: check hosts and dataDirectory in the plan.',
    );
  }
  if (!control) return ['its control file cannot be read'];
  return control.checksums ? [] : ['data checksums are off: damaged pages may go unnoticed'];
}

/**
 * A target must lie before the last commit, else PostgreSQL would refuse to start at the end of the restore
 * (barman#881). Throws BadRequest.
 */
export async function demandReachable(cluster: Cluster, directory: string, target: Target): Promise<void> {
  if (target.kind === 'lsn') {
    // Of a server that is down nobody knows how far it wrote.
    const end = await withClient(cluster, { database: 'postgres' }, (client) =>
      one<string>(client, 'select pg_current_wal_flush_lsn()::text'),
    ).catch(() => undefined);
    if (end && lsnValue(target.lsn) >= lsnValue(end)) {
      throw failure(
        'BadRequest',
        `the target ${describeTarget(target)} is after everything that ${cluster.database} has written: it is at ${end}`,
        'Give an LSN before that, or leave --to out for the latest.',
      );
    }
  }
  if (target.kind !== 'time') return;
  const wanted = Date.parse(target.iso);
  if (wanted > Date.now()) {
    throw failure(
      'BadRequest',
      `the target ${describeTarget(target)} is in the future; it is ${new Date().toISOString()} now`,
      'Give a moment before the damage, with its offset from UTC.',
    );
  }
  const last = await lastKnownCommit(cluster, directory);
  if (last && wanted > last.getTime()) {
    throw failure(
      'BadRequest',
      `the target ${describeTarget(target)} is after the last commit of ${cluster.database}, at ${last.toISOString()}`,
      'Give a moment before that, or leave --to out for the latest.',
    );
  }
}

/**
 * Demands room for a restored copy beside the real one, with a tenth to spare: of the backup's size or today's,
 * whichever is larger. Throws NotEnoughSpace.
 */
export async function demandSpace(cluster: Cluster, directory: string, databaseBytes: number): Promise<string> {
  const needed = Math.round(Math.max(databaseBytes, await bytesToday(cluster, directory)) * 1.1) + 64_000_000;
  const free = await freeBytes(dirname(directory));
  if (free < needed) {
    throw failure(
      'NotEnoughSpace',
      `a restore beside ${directory} needs ${formatBytes(needed)}, and ${formatBytes(free)} are free`,
      `Free ${formatBytes(needed - free)} on that file system of ${cluster.context.host} (nothing of the data directory), then start again.`,
    );
  }
  return `${formatBytes(needed)} needed, ${formatBytes(free)} free`;
}

/**
 * What the database takes now, tablespaces and pg_wal included, wherever they are: what came since the backup is
 * written by the recovery. 0 where there is none.
 */
async function bytesToday(cluster: Cluster, directory: string): Promise<number> {
  if (cluster.scratchOnly || !(await exists(directory))) return 0;
  const links = await readdir(join(directory, 'pg_tblspc')).catch((): string[] => []);
  const places = [directory, join(directory, 'pg_wal'), ...links.map((link) => join(directory, 'pg_tblspc', link))];
  const real = await Promise.all(places.map((place) => realpath(place).catch(() => undefined)));
  // What lies below another one is counted with it.
  const apart = [...new Set(real)]
    .filter((one) => one !== undefined)
    .filter((one, _, all) => !all.some((above) => one.startsWith(`${above}/`)));
  return (await Promise.all(apart.map(treeBytes))).reduce((sum, bytes) => sum + bytes, 0);
}
