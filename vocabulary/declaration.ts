import type { IncidentState, Mode } from './incident.js';
import type { PlanFacts } from './plan-facts.js';
import type { Problem } from './question.js';
import type { ScenarioName } from './scenario.js';

/** How an incident begins: what was declared, and what is answered to that. */

export interface IncidentInput {
  system: string;
  scenario: ScenarioName;
  database: string;
  declaredBy: string;
  mode: Mode;
  /** As parseTarget reads it; absent: latest, if a restore is needed at all. */
  target?: string;
  /** Rewrite tables too when a repair suffices. */
  vacuumFull?: boolean;
  planDigest: string;
  /** Made up by whoever declares, to see whether the incident that answers is the one they declared. */
  request?: string;
  /** Of an incident that goes on here and began elsewhere. */
  carried?: Carried;
}

/**
 * An incident is open under the lock of its system, waits for its tasks beside it, and takes the lock again to be
 * rolled back: three runs, which hand over what they know.
 */
export interface Carried {
  state: IncidentState;
  plan: PlanFacts;
  /** How many questions were asked: the next one is no earlier one again. */
  asked: number;
  /** It went over from another scenario, and recovers by this one. */
  goesOn?: true;
  /** This run is to roll back; absent: it waits until it is closed. */
  rollBack?: { by: string; reason: string };
}

export interface Declared {
  answer: 'accepted' | 'refused' | 'waiting';
  id: string;
  /** Of the input of this incident. */
  request?: string;
  /**
   * What the incident that answers was declared with: somebody who asks for something else is not told that they have
   * it.
   */
  of: Pick<IncidentInput, 'scenario' | 'database' | 'mode' | 'vacuumFull'> & { target: string };
  problem?: Problem;
}
