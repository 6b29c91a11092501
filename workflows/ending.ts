import { isOneDatabase } from '../steps/database/quarantine.js';
import type { Scenario } from '../scenarios/scenario.js';
import type { IncidentState } from '../vocabulary/incident.js';
import type { Choice } from '../vocabulary/question.js';
import { everyStepOf } from './taken.js';

/** How an incident leaves everything when a person ends it now: from what was stopped and resumed so far. Pure. */

/** `stopped` also while it is being stopped: what of it was done is not undone by an end. */
export function writes(state: IncidentState, scenario: Scenario): 'as before' | 'stopped' | 'resumed' {
  const effects = new Map(
    everyStepOf(scenario)
      .reverse()
      .map(({ name, leaves }) => [name, leaves]),
  );
  const last = state.steps.findLast(({ name, status }) => {
    const leaves = effects.get(name);
    return leaves === 'writes stopped' || (leaves === 'service resumed' && (status === 'done' || status === 'by hand'));
  });
  if (!last) return 'as before';
  return effects.get(last.name) === 'writes stopped' ? 'stopped' : 'resumed';
}

/** Services and database do not run until somebody resumes them. */
const staysStopped = (state: IncidentState, scenario: Scenario): boolean =>
  state.mode === 'real' && writes(state, scenario) === 'stopped';

/** Where nothing is resumed. */
export function leftAs(state: IncidentState, scenario: Scenario): string {
  if (state.mode !== 'real') return 'production is not touched';
  return {
    'as before': 'nothing was changed',
    stopped: 'writes stay stopped',
    resumed: 'the service goes on as it stands',
  }[writes(state, scenario)];
}

export const abortChoice = (state: IncidentState, scenario: Scenario): Choice => ({
  name: 'abort',
  meaning: `end the incident; ${leftAs(state, scenario)}${staysStopped(state, scenario) ? ' unless you say --resume' : ''}`,
  needs: ['reason'],
  alone: true,
});

export const rollBackChoice = (state: IncidentState): Choice => ({
  name: 'roll-back',
  meaning: isOneDatabase(state)
    ? 'give the old database its name back, and resume on it'
    : 'put the quarantined copy back and resume on it',
  needs: ['reason'],
});
