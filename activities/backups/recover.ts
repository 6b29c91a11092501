import type { ApplicationFailure } from '@temporalio/common';
import { describeTarget, type Target } from '../../vocabulary/target.js';
import { progress } from '../capability.js';
import { checkpoint } from '../checkpoint.js';
import { failure, isFailure } from '../errors.js';
import { readCanary } from '../postgres/canary.js';
import type { Cluster } from '../postgres/cluster.js';
import { one, withClient } from '../postgres/connect.js';
import { demandScratch, type Scratch, scratchSettings } from '../postgres/scratch.js';
import { launch, serverLog, stopServer, untilReady } from '../postgres/server.js';
import type { Candidate } from './candidates.js';
import { damaged } from './damaged.js';
import { endedByItsFiles } from './replay-failure.js';
import { canaryKnows, endsShort, endsThere, type Recovery } from './end-of-wal.js';
import { reaches } from '../../vocabulary/lsn.js';
import { forgetRestorePoint, waitAtTheEnd, type Waiting, waitsFor } from './replay.js';
import type { Restored } from './restored-mark.js';
import { timelineOf } from './wal.js';

/**
 * Recovers a fetched copy to its target and promotes it. It never promotes itself: where its WAL ends it waits, and is
 * compared with what is known of the end. What is damaged or missing there is taken from wherever it is whole. To the
 * latest moment, what cannot be had is said in `short`, for a person. What is believed is the server's own log, its
 * paused state and the canary. Throws BackupDamaged, TargetUnreachable, NotEnoughSpace, ServerFailed.
 */
export async function recover(cluster: Cluster, of: Recovery): Promise<Omit<Restored, 'bytes' | 'seconds'>> {
  const { target, scratch, candidate, known } = of;
  await waitAtTheEnd(cluster, scratch, target.kind === 'latest' ? known.restorePoint : undefined);
  const settings = { ...(await scratchSettings(cluster, scratch)), wal_retrieve_retry_interval: '300' };
  const at = { directory: scratch.directory, log: scratch.log, what: `recovering ${candidate.label}` };
  const session = { socketDirectory: scratch.socketDirectory, database: 'postgres', statementTimeout: 0 };
  let marked = target.kind === 'latest' && known.restorePoint !== undefined;
  try {
    await launch(cluster, { directory: scratch.directory, settings, log: scratch.log });
    for (let over = false; !over;) {
      const state = await untilReady(cluster, { ...at, seconds: 86_400 }, () => look(cluster, scratch, session));
      if (state.now === 'waiting') {
        over = await endsThere(cluster, of, state.waiting);
        if (over && marked) {
          marked = false;
          over = false;
          await stopServer(cluster, scratch.directory);
          await forgetRestorePoint(cluster, scratch);
          await launch(cluster, { directory: scratch.directory, settings, log: scratch.log });
        }
      } else if (state.now === 'paused') {
        await demandStopped(cluster, of);
        // Exactly where the incident closed the database. Its own segments behind that are nobody's; what the canary
        // knows is acknowledged all the same.
        const beyond = known.points.find(({ lsn, by }) => by === canaryKnows && !reaches(state.lsn, lsn));
        if (target.kind === 'latest' && beyond)
          await of.end(endsShort(of, { lsn: state.lsn, asked: [] }, beyond, undefined));
        over = true;
      } else over = true;
      if (over && state.now !== 'promoted') await promote(cluster, session, state.now);
    }
    await untilReady(cluster, { ...at, seconds: 600 }, () =>
      withClient(cluster, session, async (client) =>
        (await one<boolean>(client, 'select pg_is_in_recovery()')) ? undefined : true,
      ).catch(() => undefined),
    );
  } catch (error) {
    // It waits for nobody any more: a copy that ended before its target is of no use.
    if (isFailure(error, 'TargetUnreachable') || isFailure(error, 'BackupDamaged'))
      await stopServer(cluster, scratch.directory);
    throw isFailure(error, 'ServerFailed') ? await why(cluster, scratch, candidate, error.message) : error;
  }
  return evidenceOfRecovery(cluster, target, scratch, candidate, session);
}

type State = { now: 'promoted' } | { now: 'paused'; lsn: string } | { now: 'waiting'; waiting: Waiting };

async function look(
  cluster: Cluster,
  scratch: Scratch,
  session: { socketDirectory: string; database: string },
): Promise<State | undefined> {
  const state = await withClient(cluster, session, async (client): Promise<State | 'going on'> => {
    await demandScratch(client, scratch);
    if (!(await one<boolean>(client, 'select pg_is_in_recovery()'))) return { now: 'promoted' };
    const lsn = (await one<string>(client, 'select pg_last_wal_replay_lsn()::text')) ?? '0/0';
    progress({ what: `replaying WAL, at ${lsn}` });
    if ((await one<string>(client, 'select pg_get_wal_replay_pause_state()')) === 'paused')
      return { now: 'paused', lsn };
    const waiting = await waitsFor(cluster, scratch, client);
    return waiting ? { now: 'waiting', waiting } : 'going on';
  }).catch(unlessWrong);
  if (state !== undefined) return state === 'going on' ? undefined : state;
  // Nobody is let in before it is consistent, and WAL that it needs for that may be missing.
  const waiting = await waitsFor(cluster, scratch, undefined);
  return waiting && { now: 'waiting', waiting };
}

/** It must have stopped at the target and say so: a server that merely ran out of WAL is elsewhere. */
async function demandStopped(cluster: Cluster, { target, scratch, candidate }: Recovery): Promise<void> {
  const log = await serverLog(cluster, scratch.log);
  if (log.some((line) => /recovery stopping (before|after)|pausing at the end of recovery/.test(line))) return;
  throw damaged(candidate, `recovery did not stop at ${describeTarget(target)}`);
}

/** Done again it changes nothing. */
async function promote(
  cluster: Cluster,
  session: { socketDirectory: string; database: string },
  state: 'paused' | 'waiting',
): Promise<void> {
  await checkpoint('before promoting the copy');
  await withClient(cluster, session, (client) =>
    one(client, state === 'paused' ? 'select pg_wal_replay_resume()' : 'select pg_promote(false)'),
  );
  await checkpoint('after promoting the copy');
}

async function evidenceOfRecovery(
  cluster: Cluster,
  target: Target,
  scratch: Scratch,
  candidate: Candidate,
  session: { socketDirectory: string; database: string },
): Promise<Omit<Restored, 'bytes' | 'seconds'>> {
  const log = await serverLog(cluster, scratch.log);
  const last = log
    .map((line) => /last completed transaction was at log time (.*)$/.exec(line)?.[1])
    .filter(Boolean)
    .at(-1);
  // Of the WAL that it writes now: the control file would say it only after a checkpoint, and the recovery would wait
  // for that.
  const writes = await withClient(cluster, session, (client) =>
    one<string>(client, 'select pg_walfile_name(pg_current_wal_lsn())'),
  );
  const timeline = timelineOf(writes ?? '');
  if (!(timeline > candidate.timeline))
    throw damaged(candidate, `it is on timeline ${timeline} after recovery, and not on a new one`);
  const canary = await withClient(cluster, { ...session, database: cluster.plan.name }, readCanary).catch(
    () => undefined,
  );
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

/** A wrong directory under the copy's server must end it; everything else is a server that is not ready yet. */
function unlessWrong(error: unknown): undefined {
  if (isFailure(error, 'WrongTarget')) throw error;
  return undefined;
}

/** Why the copy's server ended, by its own log: not everything is the fault of the backup. */
async function why(
  cluster: Cluster,
  scratch: Scratch,
  candidate: Candidate,
  message: string,
): Promise<ApplicationFailure> {
  const log = (await serverLog(cluster, scratch.log)).join('\n');
  if (/No space left on device|could not extend file/.test(log)) {
    return failure(
      'NotEnoughSpace',
      `there was no space left while ${candidate.label} was recovered`,
      `Free some on ${cluster.context.host}, then: lifeboat decide retry`,
    );
  }
  if (endedByItsFiles(log.split('\n'))) return damaged(candidate, message);
  return failure(
    'CannotLook',
    `${candidate.label} could not be recovered on ${cluster.context.host}: ${message}`,
    'Nothing is said of the backup by that, so no other one is tried: fix what its log names, then: lifeboat decide retry',
  );
}
