import { CancellationScope, CancelledFailure, isCancellation } from '@temporalio/workflow';
import { Incident } from './incident.js';
import { isOneDatabase } from './ending.js';
import type { IncidentInput } from '../vocabulary/declaration.js';
import type { IncidentState } from '../vocabulary/incident.js';

/** A scenario: how it recovers, how it is made safe when a person ends it, and how it is rolled back. */
export interface Scenario {
  recover(incident: Incident): Promise<void>;
  /** Leaves everything in a safe state and says in one sentence which. Never throws for what it cannot reach: it says that too. */
  makeSafe(incident: Incident, resume: boolean): Promise<string>;
  /** Throws, before anything is stopped, when what is in place is not what this incident put there. Changes nothing. */
  mayRollBack(incident: Incident): Promise<void>;
  rollBack(incident: Incident): Promise<void>;
}

/** Turns a scenario into the workflow of an incident. */
export function scenario(of: Scenario) {
  return async (input: IncidentInput): Promise<IncidentState> => {
    const incident: Incident = new Incident(input, async () => {
      // What was said before this run began is heard while it is being made.
      await Promise.resolve();
      await of.mayRollBack(incident);
    });
    try {
      await incident.readPlan();
      await carryOut(incident, of);
    } finally {
      await incident.nonCancellable(() => incident.finished());
    }
    return incident.state;
  };
}

/** Recovers, and waits beside until it is closed; a person may end it at any moment, or roll it back once something was put in place. */
async function carryOut(incident: Incident, { recover, makeSafe, rollBack }: Scenario): Promise<void> {
  let outcome = await begin(incident, recover);
  if (outcome === 'elsewhere') return;
  if (outcome.how === 'roll-back') {
    incident.resumed();
    const wasOne = isOneDatabase(incident.state);
    outcome = await attempt(incident, () => rollBack(incident));
    if (outcome.how === 'done') {
      const back = wasOne ? 'the old database has its name again' : 'the quarantined copy is in place again';
      incident.settle('rolled back', `${back}, with what it held before the recovery, and the service resumed on it`);
      await incident.nonCancellable(() => report(incident));
      return;
    }
  }
  await incident.nonCancellable(() => end(incident, outcome, makeSafe));
  // Cancelled from Temporal's own UI or CLI: it shows as cancelled there, after everything was made safe.
  if (outcome.how === 'cancelled') throw outcome.error;
}

/** What this run is there for: to recover, to wait for the tasks of what is recovered, or to roll it back. */
async function begin(incident: Incident, recover: Scenario['recover']): Promise<Outcome | 'elsewhere'> {
  const { carried } = incident.input;
  if (carried?.rollBack) {
    incident.interrupt({ what: 'roll-back', ...carried.rollBack, resume: true });
    return { how: 'roll-back' };
  }
  if (carried) {
    incident.show();
    const waited = await attempt(incident, () => incident.untilClosed());
    return incident.wentBack ? 'elsewhere' : waited;
  }
  const outcome = await attempt(incident, () => recover(incident));
  if (outcome.how !== 'done' || !incident.real) return outcome;
  const verified =
    incident.state.measured.rtoSeconds !== null ? 'the service is verified' : 'the service was resumed by hand and is NOT verified';
  incident.settle('recovered', `${verified}; the incident is open until its tasks are done and it is closed`);
  const told = await attempt(incident, async () => {
    await report(incident);
    // Written to its end all the same, it does not fail of its cancellation.
    if (CancellationScope.current().consideredCancelled) throw new CancelledFailure('cancelled when it had recovered');
  });
  if (told.how !== 'done') return told;
  // Closed or rolled back at once, it does not have to go anywhere.
  if (incident.state.leaving) return incident.interrupted ? { how: 'roll-back' } : outcome;
  await incident.nonCancellable(() => incident.handOver());
  return 'elsewhere';
}

type Outcome = { how: 'done' | 'abort' | 'roll-back' } | { how: 'cancelled'; error: unknown };

async function attempt(incident: Incident, work: () => Promise<void>): Promise<Outcome> {
  try {
    await incident.run(work);
    return { how: 'done' };
  } catch (error) {
    if (incident.interrupted) return { how: incident.interrupted.what };
    if (isCancellation(error)) return { how: 'cancelled', error };
    throw error;
  }
}

async function end(incident: Incident, { how }: Outcome, makeSafe: Scenario['makeSafe']): Promise<void> {
  incident.leave('cancel');
  const recovered = incident.state.phase === 'recovered';
  const aborted = incident.interrupted?.what === 'abort' && incident.interrupted.resume;
  const ending = await makeSafe(incident, recovered || aborted);
  if (!incident.real) incident.settle(how === 'done' ? 'closed' : 'aborted', ending);
  else if (!recovered) incident.settle('aborted', ending);
  else incident.settle('closed', `closed by ${incident.closedBy}; what is quarantined stays until a person removes it`);
  await report(incident);
}

/** The report is written again whenever something ended; that it cannot be written ends nothing. Throws when it is cancelled. */
async function report(incident: Incident): Promise<void> {
  const written = await incident
    .control('tidy')
    .writeReport({ form: 'execute', state: incident.state })
    .catch((error: unknown) => {
      if (isCancellation(error)) throw error;
    });
  if (written) incident.state.report = written.path;
}
