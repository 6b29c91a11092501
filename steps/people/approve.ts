import { code } from '../../plan/markdown.js';
import type { ComponentRecord } from '../../vocabulary/component.js';
import { formatDuration } from '../../vocabulary/units.js';
import type { Choice } from '../../vocabulary/question.js';
import { anotherTarget } from '../database/another-target.js';
import { preparedChoice, preparedFacts } from '../database/prepared.js';
import { type At, type OnDatabase, question } from '../step.js';

/** On-call sees the figures and approves all of the copy, or the one database out of it. */
export const approve = question({
  name: 'Approve',
  does: 'A person sees these figures and approves, or does not.',
  when: 'restored',
  here: (plan) =>
    plan.approvals.people > 1
      ? `${code('lifeboat approve')}, by another person than the one who declared the incident.`
      : `${code('lifeboat approve')}.`,
  async asks(at, on: OnDatabase) {
    const { state } = at;
    const others = await neighbours(at, on);
    const component = at.component(on.database);
    const doubtful = component.doubts.length > 0;
    const prepared = (state.prepared ?? []).length > 0;
    return {
      text: 'Put the restored copy in place and resume the service on it?',
      facts: figures(at, component, on, others),
      choices: [
        {
          name: 'approve',
          meaning: `put it in place${doubtful ? ' although not all is as it should be' : ''}${prepared ? '; what is prepared in it stays' : ''}`,
          needs: doubtful || prepared ? ['reason'] : [],
        },
        ...(prepared ? [preparedChoice] : []),
        ...(others.lines.length > 0 && others.notAlone === null ? [onlyThis(doubtful)] : []),
        anotherTarget,
      ],
    };
  },
});

interface Neighbours {
  lines: string[];
  /** Why the one database cannot be put back alone. */
  notAlone: string | null;
}

/** What else is in the cluster. That it cannot be had keeps nobody from deciding, and is said. */
const neighbours = (at: At, { database, host }: OnDatabase): Promise<Neighbours> =>
  at.orElse(
    async () => {
      const found = await at.looksOn(host).lookAtNeighbours({ database });
      // A server that went down since cannot be asked any more: what it said before still holds.
      if (found.lines.length > 0) at.state.neighbours = found.lines;
      return { notAlone: found.notAlone, lines: at.state.neighbours ?? [] };
    },
    ({ message }) => ({ lines: at.state.neighbours ?? [], notAlone: message }),
  );

function figures(
  { state }: At,
  { measured, objectives, rows, doubts }: ComponentRecord,
  { host }: OnDatabase,
  others: Neighbours,
): string[] {
  const { backup } = state;
  return [
    `backup ${backup?.label ?? '?'} from ${backup?.location ?? '?'}, taken ${backup?.takenAt ?? '?'}; target ${state.target}`,
    measured.rpoSeconds === null
      ? `RPO not measured: ${measured.rpoNote ?? ''}`
      : `RPO reached ${formatDuration(measured.rpoSeconds)}, objective ${formatDuration(objectives.rpoSeconds ?? 0)}`,
    ...rows.map((row) => `${row.table}: ${row.found ?? 'missing'} rows, ${row.expected ?? 'unknown'} last known`),
    ...doubts.map((doubt) => `CHECK FAILED: ${doubt}`),
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
    `the damaged copy is kept, on ${host}`,
  ];
}

const onlyThis = (doubtful: boolean): Choice => ({
  name: 'only',
  meaning: 'put back this one database out of the copy; the others stay as they are',
  needs: doubtful ? ['reason'] : [],
});
