import { copyFile, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describeTarget, parseTarget, type Target } from '../../plan/target.js';
import { type Capability, progress } from '../capability.js';
import type { HostContext } from '../context.js';
import { failure, isFailure } from '../errors.js';
import { exists, makeDirectory, ownFor, removeTree, writeWhole } from '../files.js';
import { readCanary } from '../postgres/canary.js';
import { demandSpace } from '../postgres/check-request.js';
import { clusterOf, type Cluster, controlData, dataOwner, provenDataDirectory } from '../postgres/cluster.js';
import { one, withClient } from '../postgres/connect.js';
import { type Scratch, scratchOf, scratchSettings } from '../postgres/scratch.js';
import { launch, ledger, serverLog, stopServer, untilReady } from '../postgres/server.js';
import type { Candidate } from './candidates.js';
import { pgbackrest, repoNumber } from './pgbackrest.js';

export interface RestoreInput {
  database: string;
  incident: string;
  candidate: Candidate;
  target: string;
}
export interface Restored {
  summary: string;
  /** The time of the last transaction that was recovered, as the server's log says it. */
  recoveredTo?: string;
  timeline: number;
  bytes: number;
  seconds: number;
}

/**
 * Restores a backup into a new directory beside the damaged one and recovers it to the target. What is believed is the server's own log, its
 * paused state and the canary; the exit code of the restore proves nothing.
 * Source: field-notes, "PITR, always into a new directory"; pgbackrest.org, command restore.
 */
export const restoreBeside = (context: HostContext): Capability<RestoreInput, Restored> => ({
  async rehearse({ database, candidate }) {
    const cluster = clusterOf(context, database);
    const directory = await provenDataDirectory(cluster);
    const room = await demandSpace(cluster, directory, candidate.databaseBytes);
    return {
      summary: `could be restored from ${candidate.label} at ${candidate.location}: ${room}`,
      timeline: candidate.timeline,
      bytes: candidate.databaseBytes,
      seconds: 0,
    };
  },

  async execute(input) {
    const cluster = clusterOf(context, input.database);
    const target = parseTarget(input.target);
    const scratch = scratchOf(cluster, input.incident);
    const began = Date.now();
    const mark = await readMark(scratch);
    const own = {
      incident: input.incident,
      label: input.candidate.label,
      location: input.candidate.location,
      target: input.target,
    };
    const same = mark !== undefined && isDeepStrictEqual({ ...own, stage: undefined }, { ...mark, stage: undefined, restored: undefined });
    if (same && mark.restored) return mark.restored;
    // Another candidate or another target was tried before: its copy is ours, and of no more use.
    if (mark && !same) await discardScratch(cluster, scratch);
    await fetchFiles(cluster, input, target, scratch);
    const recovered = await recover(cluster, target, scratch, input.candidate);
    const restored: Restored = { ...recovered, bytes: input.candidate.databaseBytes, seconds: Math.round((Date.now() - began) / 100) / 10 };
    await writeMark(scratch, {
      incident: input.incident,
      label: input.candidate.label,
      location: input.candidate.location,
      stage: 'recovered',
      restored,
    });
    return restored;
  },
});

/** What is written down beside the copy: whose it is, of which backup, and how far it came. */
interface Mark {
  incident: string;
  label: string;
  location: string;
  stage: 'files' | 'fetched' | 'recovered';
  restored?: Restored;
}
const markFile = (scratch: Scratch) => `${scratch.directory}.json`;

async function readMark(scratch: Scratch): Promise<Mark | undefined> {
  const text = await readFile(markFile(scratch), 'utf8').catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as Mark);
}
const writeMark = (scratch: Scratch, mark: Mark) => writeWhole(markFile(scratch), JSON.stringify(mark));

/** Throws WrongTarget unless the copy is there, is this incident's, and was recovered. */
export async function demandRestored(scratch: Scratch, incident: string): Promise<Restored> {
  const mark = await readMark(scratch);
  if (mark?.incident === incident && mark.restored) return mark.restored;
  throw failure(
    'WrongTarget',
    `there is no restored copy of incident ${incident} at ${scratch.directory}`,
    'Restore again: lifeboat decide retry',
  );
}

export async function discardScratch(cluster: Cluster, scratch: Scratch): Promise<void> {
  await stopServer(cluster, scratch.directory);
  await removeTree(scratch.directory);
  await removeTree(`${scratch.directory}.tablespaces`);
  await removeTree(scratch.socketDirectory);
  await removeTree(markFile(scratch));
}

/** The command of pgBackRest for a target. Exported for the test that reads it. */
export function restoreArguments(cluster: Cluster, input: RestoreInput, target: Target, directory: string): string[] {
  const kind = {
    latest: () => ['--type=default'],
    backup: () => ['--type=immediate', '--target-action=pause'],
    time: () => [
      '--type=time',
      `--target=${(target as { iso: string }).iso.replace('T', ' ').replace('Z', '+00')}`,
      '--target-action=pause',
    ],
    lsn: () => ['--type=lsn', `--target=${(target as { lsn: string }).lsn}`, '--target-exclusive', '--target-action=pause'],
  }[target.kind]();
  return [
    `--pg1-path=${directory}`,
    `--repo=${repoNumber(cluster, input.candidate.location)}`,
    `--set=${input.candidate.label}`,
    ...kind,
    `--target-timeline=${input.candidate.timeline}`,
    '--archive-mode=off',
    `--tablespace-map-all=${directory}.tablespaces`,
    '--log-level-console=detail',
    'restore',
  ];
}

async function fetchFiles(cluster: Cluster, input: RestoreInput, target: Target, scratch: Scratch): Promise<void> {
  const { incident, candidate } = input;
  const mark = await readMark(scratch);
  if (mark && mark.stage !== 'files') return;
  const production = await provenDataDirectory(cluster).catch(() => cluster.dataDirectory);
  const owner = await dataOwner(cluster);
  const own = { incident, label: candidate.label, location: candidate.location } as const;
  if (!mark && (await exists(scratch.directory))) {
    throw failure(
      'WrongTarget',
      `${scratch.directory} is there already, and Lifeboat did not make it`,
      'Move it away, then: lifeboat decide retry',
    );
  }
  if (!mark) await demandSpace(cluster, production, candidate.databaseBytes);
  await writeMark(scratch, { ...own, stage: 'files' });
  await makeDirectory(scratch.directory, owner);
  await makeDirectory(`${scratch.directory}.tablespaces`, owner);
  const started = Date.now();
  // --delta, since a killed attempt may have left files, and only ever on a directory that we made ourselves.
  const resumed = (await readdir(scratch.directory)).length > 0;
  if (resumed) await stopServer(cluster, scratch.directory);
  await pgbackrest(cluster, [...(resumed ? ['--delta', '--force'] : []), ...restoreArguments(cluster, input, target, scratch.directory)], {
    ledger: ledger(cluster, 'pgbackrest-restore'),
    onLine: (line) => {
      const percent = Number(/ restore file .*, ([\d.]+)%\)/.exec(line)?.[1]);
      if (percent > 0) {
        const elapsed = (Date.now() - started) / 1000;
        progress({
          what: `restoring ${candidate.label}`,
          percent,
          bytesDone: Math.round((candidate.databaseBytes * percent) / 100),
          bytesTotal: candidate.databaseBytes,
          secondsLeft: Math.round((elapsed * (100 - percent)) / percent),
        });
      }
    },
  }).catch((error: unknown) => {
    throw isFailure(error, 'CommandFailed') ? damaged(candidate, error.message) : error;
  });
  if (target.kind === 'latest') await copyTail(cluster, production, scratch, candidate.timeline);
  await writeMark(scratch, { ...own, stage: 'fetched' });
}

/**
 * The WAL that the damaged server had written and not yet archived lies in its own pg_wal: with it, the copy loses nothing that was
 * committed. Recovery checks every record's CRC, and takes from there only what the archive does not have.
 */
async function copyTail(cluster: Cluster, production: string, scratch: Scratch, timeline: number): Promise<void> {
  const wal = join(production, 'pg_wal');
  const archived = new Set(await readdir(join(wal, 'archive_status')).catch(() => []));
  const own = timeline.toString(16).toUpperCase().padStart(8, '0');
  const owner = await dataOwner(cluster);
  for (const segment of await readdir(wal).catch(() => [])) {
    if (!/^[0-9A-F]{24}$/.test(segment) || !segment.startsWith(own) || archived.has(`${segment}.done`)) continue;
    const to = join(scratch.directory, 'pg_wal', segment);
    await copyFile(join(wal, segment), to);
    await ownFor(to, owner);
  }
}

async function recover(
  cluster: Cluster,
  target: Target,
  scratch: Scratch,
  candidate: Candidate,
): Promise<Omit<Restored, 'bytes' | 'seconds'>> {
  const settings = await scratchSettings(cluster, scratch);
  const at = { directory: scratch.directory, scratch: true, what: `recovering ${candidate.label}` };
  const session = { socketDirectory: scratch.socketDirectory, database: 'postgres', statementTimeout: 0 };
  try {
    await launch(cluster, { directory: scratch.directory, settings, scratch: true });
    const paused = await untilReady(cluster, { ...at, seconds: 86_400 }, () =>
      withClient(cluster, session, async (client) => {
        if (!(await one<boolean>(client, 'select pg_is_in_recovery()'))) return 'promoted' as const;
        progress({
          what: `replaying WAL, at ${await one<string>(client, 'select coalesce(pg_last_wal_replay_lsn()::text, $1)', ['the start'])}`,
        });
        return (await one<string>(client, 'select pg_get_wal_replay_pause_state()')) === 'paused' ? ('paused' as const) : undefined;
      }).catch(() => undefined),
    );
    const log = await serverLog(cluster, true);
    if (target.kind !== 'latest') {
      // It must have stopped at the target and say so: a server that merely ran out of WAL is elsewhere.
      const stopped = log.some((line) => /recovery stopping (before|after)|pausing at the end of recovery/.test(line));
      if (paused === 'paused' && stopped) await withClient(cluster, session, (client) => one(client, 'select pg_wal_replay_resume()'));
      else if (!stopped && !log.some((line) => /archive recovery complete/.test(line))) {
        throw damaged(candidate, `recovery did not stop at ${describeTarget(target)}`);
      }
    }
    await untilReady(cluster, { ...at, seconds: 600 }, () =>
      withClient(cluster, session, async (client) => ((await one<boolean>(client, 'select pg_is_in_recovery()')) ? undefined : true)).catch(
        () => undefined,
      ),
    );
  } catch (error) {
    throw isFailure(error, 'ServerFailed') ? damaged(candidate, error.message) : error;
  }
  return evidenceOfRecovery(cluster, target, scratch, candidate, session);
}

async function evidenceOfRecovery(
  cluster: Cluster,
  target: Target,
  scratch: Scratch,
  candidate: Candidate,
  session: { socketDirectory: string; database: string },
): Promise<Omit<Restored, 'bytes' | 'seconds'>> {
  const log = await serverLog(cluster, true);
  const last = log
    .map((line) => /last completed transaction was at log time (.*)$/.exec(line)?.[1])
    .filter(Boolean)
    .at(-1);
  const { timeline } = await withClient(cluster, session, async (client) => {
    await client.query('checkpoint');
    return controlData(cluster, scratch.directory);
  });
  if (timeline <= candidate.timeline) throw damaged(candidate, `it is on timeline ${timeline} after recovery, and not on a new one`);
  const canary = await withClient(cluster, { ...session, database: cluster.plan.name }, readCanary).catch(() => undefined);
  if (target.kind === 'time' && canary && Date.parse(canary.ts) > Date.parse(target.iso)) {
    throw damaged(candidate, `its canary is of ${canary.ts}, after the target ${describeTarget(target)}`);
  }
  const recoveredTo = last ? new Date(last).toISOString() : canary?.ts;
  return {
    summary: `${candidate.label} from ${candidate.location}, recovered to ${recoveredTo ?? 'the end of the backup'}, timeline ${timeline}`,
    ...(recoveredTo ? { recoveredTo } : {}),
    timeline,
  };
}

function damaged(candidate: Candidate, why: string) {
  return failure(
    'BackupDamaged',
    `backup ${candidate.label} at ${candidate.location} cannot be used: ${why}`,
    'The next backup or location is tried.',
    { label: candidate.label, location: candidate.location },
  );
}

/** Removes the copy of a drill or of an aborted candidate. Only ever what Lifeboat made itself, by its name and its mark. */
export const discardCopy = (context: HostContext): Capability<{ database: string; incident: string }, { summary: string }> => ({
  rehearse: () => Promise.resolve({ summary: 'nothing to remove' }),
  async execute({ database, incident }) {
    const cluster = clusterOf(context, database);
    const scratch = scratchOf(cluster, incident);
    const mark = await readMark(scratch);
    if (!mark && !(await exists(scratch.directory))) return { summary: 'nothing to remove' };
    if (mark?.incident !== incident) return { summary: `${scratch.directory} was not made by this incident, and stays` };
    await discardScratch(cluster, scratch);
    return { summary: `the scratch copy ${scratch.directory} was removed` };
  },
});

/** Stops the copy's server and leaves the copy where it is. */
export const stopCopy = (
  context: HostContext,
): Capability<{ database: string; incident: string }, { summary: string; directory: string | null }> => ({
  rehearse: () => Promise.resolve({ summary: 'nothing to stop', directory: null }),
  async execute({ database, incident }) {
    const cluster = clusterOf(context, database);
    const scratch = scratchOf(cluster, incident);
    if (!(await exists(scratch.directory))) return { summary: 'there is no copy', directory: null };
    await stopServer(cluster, scratch.directory);
    return { summary: `the restored copy is kept, stopped, at ${scratch.directory}`, directory: scratch.directory };
  },
});
