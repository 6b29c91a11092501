import type { IncidentState } from '../../vocabulary/incident.js';
import { componentVerdicts, rehearsal, verdicts, type Verdict } from './facts.js';

/** For programs: the whole state, and what was worked out from it. `format` rises when a field changes its meaning. */
export function renderJson(state: IncidentState): string {
  const at = new Date(state.endedAt ?? state.steps.at(-1)?.endedAt ?? state.declaredAt);
  const [rto, rpo] = verdicts(state, at);
  const report = {
    format: 'lifeboat-report/1',
    rehearsal: rehearsal(state.mode)?.word ?? null,
    rto: achieved(rto),
    rpo: achieved(rpo),
    components: componentVerdicts(state, at).map((one) => ({
      ...{ name: one.name, kind: one.kind, rto: achieved(one.rto) },
      rpo: one.rpo ? achieved(one.rpo) : null,
    })),
    rowsOk: state.rows.length === 0 ? null : state.rows.every((row) => row.ok),
    tasksOpen: state.tasks.filter((task) => !task.doneAt).map((task) => task.name),
    incident: state,
  };
  return `${JSON.stringify(report, null, 2)}\n`;
}

const achieved = ({ objectiveSeconds, seconds, met, note }: Verdict) => ({
  objectiveSeconds,
  seconds,
  met,
  note: note ?? null,
});
