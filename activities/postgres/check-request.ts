import { dirname } from 'node:path';
import { formatBytes } from '../../plan/values.js';
import { describeTarget, parseTarget, type Target, TargetError } from '../../plan/target.js';
import { findCandidates, lastKnownCommit } from '../backups/candidates.js';
import { repositoryInfo } from '../backups/engines.js';
import { lsnValue } from '../backups/wal.js';
import { looking } from '../capability.js';
import type { HostContext } from '../context.js';
import { failure } from '../errors.js';
import { freeBytes } from '../files.js';
import { claimedBy, claimFile } from './claim.js';
import { bin, clusterOf, type Cluster, controlData, provenDataDirectory } from './cluster.js';
import { one, withClient } from './connect.js';
import { neighbourInWords, neighboursOf } from './neighbours.js';

export interface CheckRequestInput {
  database: string;
  incident: string;
  /** As parseTarget reads it; absent: none was given. */
  target?: string;
}
export interface CheckedRequest {
  summary: string;
  /** What is not as it should be and does not hold up the recovery. */
  warnings: string[];
  /** Of the plan that the agent has. */
  planDigest: string;
}

/**
 * Refuses what cannot work, before anything is stopped: not a data directory, the wrong cluster, a target that no backup can reach, no
 * backup at all, no room. Changes nothing.
 */
export const checkRequest = (context: HostContext) =>
  looking<CheckRequestInput, CheckedRequest>(async ({ database, incident, target: text }) => {
    const cluster = clusterOf(context, database);
    const target = readTarget(text ?? 'latest');
    const directory = await provenDataDirectory(cluster);
    for (const tool of ['pg_ctl', 'pg_amcheck', 'pg_controldata', 'pg_waldump']) await bin(cluster, tool);
    const holder = await claimedBy(cluster);
    if (holder && holder !== incident) {
      throw failure(
        'BadRequest',
        `the data directory of ${database} is held by incident ${holder}`,
        `Close or abort that incident first: lifeboat incidents. If it no longer exists anywhere, remove ${claimFile(cluster)} on ${context.host}.`,
      );
    }
    const warnings = await sameCluster(cluster, directory);
    await demandReachable(cluster, directory, target);
    const { candidates, passedOver } = await findCandidates(cluster, target, directory);
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
      warnings: [...warnings, ...(await goBackToo(cluster, text ?? 'latest')), ...passedOver],
      planDigest: context.planDigest,
    };
  });

/** A restore is of the whole cluster. Of a server that is down nobody knows what else is in it. */
async function goBackToo(cluster: Cluster, target: string): Promise<string[]> {
  const others = await withClient(cluster, { database: 'postgres' }, (client) => neighboursOf(cluster, client)).catch(() => []);
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
  if (!control) return ['its control file cannot be read'];
  const { systemIdentifier } = await repositoryInfo(cluster);
  if (systemIdentifier && systemIdentifier !== control.systemIdentifier) {
    throw failure(
      'WrongTarget',
      `${directory} is cluster ${control.systemIdentifier}, but the backups are of cluster ${systemIdentifier}`,
      'This is not the database that the plan protects: check hosts and dataDirectory in the plan.',
    );
  }
  return control.checksums ? [] : ['data checksums are off: damaged pages may go unnoticed'];
}

/** A target must lie before the last commit, else PostgreSQL would refuse to start at the end of the restore (barman#881). Throws BadRequest. */
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

/** Demands room for a restored copy beside the real one, with a tenth to spare. Throws NotEnoughSpace. */
export async function demandSpace(cluster: Cluster, directory: string, databaseBytes: number): Promise<string> {
  const needed = Math.round(databaseBytes * 1.1) + 64_000_000;
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
