import { scenarios } from '../scenarios/all.js';
import type { Scenario } from '../scenarios/scenario.js';
import { type AnyStep, isStep, type OnDatabase } from '../steps/step.js';
import type { IncidentState } from '../vocabulary/incident.js';
import type { PlanFacts } from '../vocabulary/plan-facts.js';

/** The steps of an incident, found again by what its timeline says of them: it may have begun in another run. Pure. */

export const scenarioOf = ({ scenario }: Pick<IncidentState, 'scenario'>): Scenario => scenarios[scenario as keyof typeof scenarios];

/** In the order in which they were begun (the last time, where it was several), each with the database and the host that it was taken on. */
export function takenSteps(state: IncidentState, { primary }: Pick<PlanFacts, 'primary'>): { step: AnyStep; on: OnDatabase }[] {
  const all = scenarioOf(state).steps.filter(isStep);
  const taken = state.steps.flatMap(({ name, host = primary }) => {
    const step = all.find((one) => one.name === name || (one.title && name.startsWith(`${one.name} `)));
    return step ? [{ step, on: { database: state.database, host } }] : [];
  });
  return taken.filter(({ step, on }, index) => !taken.slice(index + 1).some((later) => later.step === step && later.on.host === on.host));
}

/** Those of its roll-back, too. */
export const everyStepOf = (state: Pick<IncidentState, 'scenario'>): AnyStep[] =>
  scenarioOf(state)
    .steps.filter(isStep)
    .flatMap((step) => [step, ...(step.undo ?? [])]);
