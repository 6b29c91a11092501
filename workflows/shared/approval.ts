import { isCancellation } from '@temporalio/workflow';
import { formatDuration } from '../../vocabulary/units.js';
import { Chosen, type Incident } from '../incident.js';
import type { Decision, Choice } from '../../vocabulary/question.js';
import { problemOf } from '../problems.js';
import { preparedChoice, preparedFacts } from './prepared.js';

export const anotherTarget: Choice = { name: 'restore', meaning: 'restore again, to another target', needs: ['target'] };

/** On-call sees the figures and approves all of the copy or the one database out of it. Throws {@link Chosen} for another target. */
export async function approved(incident: Incident): Promise<Decision> {
  const { state } = incident;
  const others = await neighbours(incident);
  const { rpoSeconds } = state.measured;
  const facts = [
    `backup ${state.backup?.label ?? '?'} from ${state.backup?.location ?? '?'}, taken ${state.backup?.takenAt ?? '?'}; target ${state.target}`,
    rpoSeconds === null
      ? `RPO not measured: ${state.measured.rpoNote ?? ''}`
      : `RPO reached ${formatDuration(rpoSeconds)}, objective ${formatDuration(state.objectives.rpoSeconds)}`,
    ...state.rows.map((row) => `${row.table}: ${row.found ?? 'missing'} rows, ${row.expected ?? 'unknown'} last known`),
    ...state.doubts.map((doubt) => `NOT AS IT SHOULD BE: ${doubt}`),
    ...preparedFacts(state),
    ...(state.differences ?? []).map((difference) => `not as in the backup: ${difference}`),
    ...(state.cautions ?? []).map((caution) => `to know: ${caution}`),
    ...others.lines.map((line) => `NOT ONLY ${state.database}: it takes back the database ${line}`),
    ...(others.notAlone === null
      ? []
      : [
          others.lines.length > 0
            ? `${state.database} cannot go back alone: ${others.notAlone}`
            : `other databases of the cluster go back, too, if there are any; not checked: ${others.notAlone}`,
        ]),
    `the damaged copy is kept, on ${incident.plan.primary}`,
  ];
  const doubtful = state.doubts.length > 0;
  const prepared = (state.prepared ?? []).length > 0;
  const decision = await incident.approve('Approve', 'Put the restored copy in place and resume the service on it?', facts, [
    {
      name: 'approve',
      meaning: `put it in place${doubtful ? ' although not all is as it should be' : ''}${prepared ? '; what is prepared in it stays' : ''}`,
      needs: doubtful || prepared ? ['reason'] : [],
    },
    ...(prepared ? [preparedChoice] : []),
    ...(others.lines.length > 0 && others.notAlone === null ? [onlyThis(doubtful)] : []),
    anotherTarget,
  ]);
  if (decision.choice === 'restore') throw new Chosen(decision);
  return decision;
}

/** What else is in the cluster. That it cannot be had keeps nobody from deciding, and is said. */
async function neighbours(incident: Incident): Promise<{ lines: string[]; notAlone: string | null }> {
  try {
    const found = await incident.host(incident.plan.primary, 'look').lookAtNeighbours({ form: 'execute', ...incident.names });
    // A server that went down since cannot be asked any more: what it said before still holds.
    if (found.lines.length > 0) incident.state.neighbours = found.lines;
    return { ...found, lines: incident.state.neighbours ?? [] };
  } catch (error) {
    if (isCancellation(error)) throw error;
    return { lines: incident.state.neighbours ?? [], notAlone: problemOf(error).message };
  }
}

const onlyThis = (doubtful: boolean): Choice => ({
  name: 'only',
  meaning: 'put back this one database out of the copy; the others stay as they are',
  needs: doubtful ? ['reason'] : [],
});
