import type { ApplicationFailure } from '@temporalio/common';
import { describeTarget, type Target } from '../../plan/target.js';
import { progress } from '../capability.js';
import { checkpoint } from '../checkpoint.js';
import { failure, isFailure } from '../errors.js';
import { readCanary } from '../postgres/canary.js';
import type { Cluster } from '../postgres/cluster.js';
import { one, withClient } from '../postgres/connect.js';
import { demandScratch, type Scratch, scratchSettings } from '../postgres/scratch.js';
import { launch, serverLog, untilReady } from '../postgres/server.js';
import type { Candidate } from './candidates.js';
import { endedByItsFiles } from './ended.js';
import type { Restored } from './restored-mark.js';
import { timelineOf } from './wal.js';

/**
 * Recovers a fetched copy to its target and promotes it. What is believed is the server's own log, its paused state and the canary.
 * Throws BackupDamaged, TargetUnreachable, NotEnoughSpace, ServerFailed.
 */
export async function recover(
  cluster: Cluster,
  target: Target,
  scratch: Scratch,
  candidate: Candidate,
): Promise<Omit<Restored, 'bytes' | 'seconds'>> {
  const settings = await scratchSettings(cluster, scratch);
  const at = { directory: scratch.directory, log: scratch.log, what: `recovering ${candidate.label}` };
  const session = { socketDirectory: scratch.socketDirectory, database: 'postgres', statementTimeout: 0 };
  try {
    await launch(cluster, { directory: scratch.directory, settings, log: scratch.log });
    const paused = await untilReady(cluster, { ...at, seconds: 86_400 }, () =>
      withClient(cluster, session, async (client) => {
        await demandScratch(client, scratch);
        if (!(await one<boolean>(client, 'select pg_is_in_recovery()'))) return 'promoted' as const;
        progress({
          what: `replaying WAL, at ${await one<string>(client, 'select coalesce(pg_last_wal_replay_lsn()::text, $1)', ['the start'])}`,
        });
        return (await one<string>(client, 'select pg_get_wal_replay_pause_state()')) === 'paused' ? ('paused' as const) : undefined;
      }).catch(unlessWrong),
    );
    const log = await serverLog(cluster, scratch.log);
    if (target.kind !== 'latest') {
      // It must have stopped at the target and say so: a server that merely ran out of WAL is elsewhere.
      const stopped = log.some((line) => /recovery stopping (before|after)|pausing at the end of recovery/.test(line));
      if (paused === 'paused' && stopped) {
        await checkpoint('before promoting the copy');
        await withClient(cluster, session, (client) => one(client, 'select pg_wal_replay_resume()'));
        await checkpoint('after promoting the copy');
      } else if (!stopped && !log.some((line) => /archive recovery complete/.test(line))) {
        throw damaged(candidate, `recovery did not stop at ${describeTarget(target)}`);
      }
    }
    await untilReady(cluster, { ...at, seconds: 600 }, () =>
      withClient(cluster, session, async (client) => ((await one<boolean>(client, 'select pg_is_in_recovery()')) ? undefined : true)).catch(
        () => undefined,
      ),
    );
  } catch (error) {
    throw isFailure(error, 'ServerFailed') ? await why(cluster, target, scratch, candidate, error.message) : error;
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
  const log = await serverLog(cluster, scratch.log);
  const last = log
    .map((line) => /last completed transaction was at log time (.*)$/.exec(line)?.[1])
    .filter(Boolean)
    .at(-1);
  // Of the WAL that it writes now: the control file would say it only after a checkpoint, and the recovery would wait for that.
  const writes = await withClient(cluster, session, (client) => one<string>(client, 'select pg_walfile_name(pg_current_wal_lsn())'));
  const timeline = timelineOf(writes ?? '');
  if (!(timeline > candidate.timeline)) throw damaged(candidate, `it is on timeline ${timeline} after recovery, and not on a new one`);
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

/** A wrong directory under the copy's server must end it; everything else is a server that is not ready yet. */
function unlessWrong(error: unknown): undefined {
  if (isFailure(error, 'WrongTarget')) throw error;
  return undefined;
}

/** Why the copy's server ended, by its own log: not everything is the fault of the backup. */
async function why(cluster: Cluster, target: Target, scratch: Scratch, candidate: Candidate, message: string): Promise<ApplicationFailure> {
  const log = (await serverLog(cluster, scratch.log)).join('\n');
  if (/No space left on device|could not extend file/.test(log)) {
    return failure(
      'NotEnoughSpace',
      `there was no space left while ${candidate.label} was recovered`,
      `Free some on ${cluster.context.host}, then: lifeboat decide retry`,
    );
  }
  if (/recovery ended before configured recovery target was reached/.test(log)) {
    return failure(
      'TargetUnreachable',
      `recovery from ${candidate.label} ended before ${describeTarget(target)}: the WAL does not reach that far`,
      'Choose an earlier target: lifeboat decide restore --to TIME',
    );
  }
  if (endedByItsFiles(log.split('\n'))) return damaged(candidate, message);
  return failure(
    'CannotLook',
    `${candidate.label} could not be recovered on ${cluster.context.host}: ${message}`,
    'Nothing is said of the backup by that, so no other one is tried: mend what its log names, then: lifeboat decide retry',
  );
}

export function damaged(candidate: Candidate, reason: string): ApplicationFailure {
  return failure(
    'BackupDamaged',
    `backup ${candidate.label} at ${candidate.location} cannot be used: ${reason}`,
    'The next backup or location is tried.',
    { label: candidate.label, location: candidate.location },
  );
}
