import { scenarios } from '../scenarios/all.js';
import type { Scenario } from '../scenarios/scenario.js';
import { type AnyStep, isStep, type OnDatabase } from '../steps/step.js';
import type { IncidentState } from '../vocabulary/incident.js';
import type { PlanFacts } from '../vocabulary/plan-facts.js';

/** The steps of an incident, found again by what its timeline says of them: it may have begun in another run. Pure. */

/**
 * In the order in which they were begun (the last time, where it was several), each with the database and the host that
 * it was taken on.
 */
export function takenSteps(
  scenario: Scenario,
  state: IncidentState,
  { primary }: Pick<PlanFacts, 'primary'>,
): { step: AnyStep; lane: string | undefined; on: OnDatabase }[] {
  const all = knownSteps(scenario);
  const taken = state.steps.flatMap(({ name, lane, host = primary }) => {
    const step = all.find((one) => one.name === name);
    return step ? [{ step, lane, on: { database: state.database, host } }] : [];
  });
  const same = (one: (typeof taken)[number], other: (typeof taken)[number]) =>
    one.step === other.step && one.lane === other.lane && one.on.host === other.on.host;
  return taken.filter((one, index) => !taken.slice(index + 1).some((later) => same(one, later)));
}

/** Those of its roll-back, too. */
export const everyStepOf = (scenario: Scenario): AnyStep[] =>
  knownSteps(scenario).flatMap((step) => [step, ...(step.undo ?? [])]);

/** Its own first: it may have gone over from another scenario. */
const knownSteps = (scenario: Scenario): AnyStep[] =>
  [scenario, ...Object.values(scenarios)].flatMap(({ steps }) => steps.filter(isStep));
