import type { IncidentState, Phase } from './incident.js';
import type { Question } from './question.js';

/** What the people around an incident are told of: how it stands, in a few words. */
export interface IncidentNews {
  id: string;
  system: string;
  scenario: string;
  database: string;
  declaredBy: string;
  declaredAt: string;
  phase: Phase;
  objectives: IncidentState['objectives'];
  rtoSeconds: number | null;
  rpoSeconds: number | null;
  questions: Pick<Question, 'id' | 'kind' | 'step' | 'lane' | 'text' | 'choices'>[];
  ending?: string;
  canRollBack: boolean;
  /** A person ends it, or takes it back: what it asked is not asked any more. */
  leaving?: string;
  /** When it was so, ISO 8601. */
  at: string;
}

export const newsOf = (state: IncidentState, at: string): IncidentNews => ({
  ...{ id: state.id, system: state.system, scenario: state.scenario, database: state.database },
  ...{
    declaredBy: state.declaredBy,
    declaredAt: state.declaredAt,
    phase: state.phase,
    objectives: state.objectives,
    at,
  },
  ...{ rtoSeconds: state.measured.rtoSeconds, rpoSeconds: state.measured.rpoSeconds },
  questions: state.questions.map(({ id, kind, step, lane, text, choices }) => ({
    ...{ id, kind, step, text, choices },
    ...(lane === undefined ? {} : { lane }),
  })),
  ...(state.ending === undefined ? {} : { ending: state.ending }),
  canRollBack: state.canRollBack,
  ...(state.leaving === undefined ? {} : { leaving: state.leaving.what }),
});
