import { CancellationScope, CancelledFailure, isCancellation } from '@temporalio/workflow';
import type { Scenario } from '../scenarios/scenario.js';
import { Escalated } from './branch.js';
import { Incident } from './incident.js';
import type { IncidentInput } from '../vocabulary/declaration.js';
import type { IncidentState } from '../vocabulary/incident.js';

/** Turns a scenario into the workflow of an incident. */
export function workflowOf(scenario: Scenario) {
  return async (input: IncidentInput): Promise<IncidentState> => {
    const incident: Incident = new Incident(input, scenario, async () => {
      // What was said before this run began is heard while it is being made.
      await Promise.resolve();
      await incident.mayUndo();
    });
    try {
      await incident.readPlan();
      await carryOut(incident, scenario.recover);
    } finally {
      await incident.nonCancellable(() => incident.finished());
    }
    return incident.state;
  };
}

/**
 * Recovers, and waits beside until it is closed; a person may end it at any moment, or roll it back once something was
 * put in place.
 */
async function carryOut(incident: Incident, recover: Scenario['recover']): Promise<void> {
  let outcome = await begin(incident, recover);
  if (outcome === 'elsewhere') return;
  if (outcome.how === 'roll-back') {
    incident.resumed();
    let undone = '';
    outcome = await attempt(incident, async () => void (undone = await incident.undo()));
    if (outcome.how === 'done') {
      incident.settle('rolled back', undone);
      await incident.nonCancellable(() => report(incident));
      return;
    }
  }
  await incident.nonCancellable(() => end(incident, outcome));
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
  if (carried && !carried.goesOn) {
    incident.show();
    const waited = await attempt(incident, () => incident.untilClosed());
    if (waited.how === 'done' && incident.isLong) return incident.startAnew();
    return incident.wentBack ? 'elsewhere' : waited;
  }
  const outcome = await attempt(incident, () => recover(incident.main));
  if (outcome.how === 'escalated') return incident.goOver(outcome.into);
  if (outcome.how !== 'done' || !incident.real) return outcome;
  const verified =
    incident.state.measured.rtoSeconds !== null
      ? 'the service is verified'
      : 'the service was resumed by hand and is NOT verified';
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

type Outcome =
  { how: 'done' | 'abort' | 'roll-back' } | { how: 'cancelled'; error: unknown } | { how: 'escalated'; into: string };

async function attempt(incident: Incident, work: () => Promise<void>): Promise<Outcome> {
  try {
    await incident.run(work);
    return { how: 'done' };
  } catch (error) {
    if (incident.interrupted) return { how: incident.interrupted.what };
    if (isCancellation(error)) return { how: 'cancelled', error };
    if (CancellationScope.current().consideredCancelled)
      return { how: 'cancelled', error: new CancelledFailure('cancelled') };
    if (error instanceof Escalated) return { how: 'escalated', into: error.scenario };
    throw error;
  }
}

async function end(incident: Incident, { how }: Outcome): Promise<void> {
  incident.leave('cancel');
  const { state } = incident;
  const recovered = state.phase === 'recovered';
  const aborted = incident.interrupted?.what === 'abort' && incident.interrupted.resume;
  const said = await incident.settleAll({ recovered, resume: aborted });
  if (!incident.real) {
    const ending = [`${state.mode} ended: production was not touched`, ...said].join('; ');
    incident.settle(how === 'done' ? 'closed' : 'aborted', ending);
  } else if (!recovered) incident.settle('aborted', said.length > 0 ? said.join('; ') : 'nothing was changed');
  else incident.settle('closed', `closed by ${incident.closedBy}; what is quarantined stays until a person removes it`);
  await report(incident);
}

/**
 * The report is written again whenever something ended; that it cannot be written ends nothing. Throws when it is
 * cancelled.
 */
async function report(incident: Incident): Promise<void> {
  const written = await incident
    .control('tidy')
    .writeReport({ form: 'execute', state: incident.state })
    .catch((error: unknown) => {
      if (isCancellation(error)) throw error;
    });
  if (written) incident.state.report = written.path;
}
