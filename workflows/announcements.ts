import type { Notice } from '../vocabulary/alert.js';
import { type Phase, titleOf } from '../vocabulary/incident.js';
import type { IncidentNews } from '../vocabulary/news.js';
import { formatDuration } from '../vocabulary/units.js';

/** The words in which people are told of an incident. Pure: what has changed comes in, notices come out. */

/** After these nothing follows. */
const last: Phase[] = ['closed', 'aborted', 'refused', 'rolled back'];
export const isLast = ({ phase }: IncidentNews): boolean => last.includes(phase);

export const incidentKey = (id: string): string => `incident/${id}`;
const questionKey = (id: string, question: number): string => `${incidentKey(id)}/question/${question}`;

/** What is to be said now that was not said before; in this order. */
export function noticesOf(before: IncidentNews | undefined, now: IncidentNews): Notice[] {
  const open = (news: IncidentNews | undefined) => (news?.questions ?? []).map(({ id }) => id);
  const [asked, answered] = [
    now.questions.filter(({ id }) => !open(before).includes(id)),
    open(before).filter((id) => !open(now).includes(id)),
  ];
  return [
    ...(before === undefined ? [declared(now)] : []),
    ...answered.map((id) => answer(before!, now, id)),
    ...asked.map((question) => waiting(now, question)),
    ...(before?.phase !== now.phase && (now.phase === 'recovered' || isLast(now)) ? [ended(now)] : []),
  ];
}

const notice = (news: IncidentNews, key: string, of: Pick<Notice, 'state' | 'title' | 'text'>): Notice => ({
  ...{ key, severity: 'critical', system: news.system, at: news.at, news: true },
  ...of,
});

function declared(news: IncidentNews): Notice {
  const { id, scenario, database, declaredBy, declaredAt, objectives } = news;
  return notice(news, incidentKey(id), {
    state: 'raised',
    title: `INCIDENT declared: ${scenario} of ${database}, by ${declaredBy}`,
    text: [
      `${id}, declared at ${declaredAt}. It is to be over by ${new Date(Date.parse(declaredAt) + objectives.rtoSeconds * 1000).toISOString()} (RTO ${formatDuration(objectives.rtoSeconds)}).`,
      'Follow it: lifeboat watch',
    ].join('\n'),
  });
}

function waiting(news: IncidentNews, question: IncidentNews['questions'][number]): Notice {
  const { id, text, choices } = question;
  return notice(news, questionKey(news.id, id), {
    state: 'raised',
    title: `the incident WAITS FOR YOU: ${text}`,
    text: [
      `Step: ${titleOf({ ...question, name: question.step })}. Nothing goes on until somebody answers. See it with its figures: lifeboat watch`,
      ...choices.map(({ name, meaning, needs }) => {
        const command = name === 'approve' ? 'approve' : `decide ${name}`;
        const more = needs.map((need) => (need === 'reason' ? ' --reason "..."' : ' --to TARGET')).join('');
        return `lifeboat ${command} --question ${id}${more}   (${meaning})`;
      }),
    ].join('\n'),
  });
}

function answer(before: IncidentNews, now: IncidentNews, id: number): Notice {
  const { text } = before.questions.find((one) => one.id === id)!;
  const ends = now.leaving !== undefined || isLast(now);
  return notice(now, questionKey(now.id, id), {
    state: 'resolved',
    title: ends ? `not asked any more: ${text}` : `answered: ${text}`,
    text: ends
      ? 'The incident is being ended or taken back. See it: lifeboat watch'
      : 'The incident goes on. Follow it: lifeboat watch',
  });
}

const words: Partial<Record<Phase, string>> = {
  recovered: 'RECOVERED',
  closed: 'closed',
  aborted: 'ABORTED',
  refused: 'refused, nothing was changed',
  'rolled back': 'ROLLED BACK',
};

function ended(news: IncidentNews): Notice {
  const { id, scenario, database, phase, objectives, rtoSeconds, rpoSeconds, ending, canRollBack } = news;
  const figure = (name: string, seconds: number | null, objective: number) =>
    `${name} ${seconds === null ? 'not measured' : formatDuration(seconds)} (objective ${formatDuration(objective)}${seconds !== null && seconds > objective ? ': MISSED' : ''})`;
  const back = canRollBack
    ? 'Until it is closed it can be rolled back: lifeboat decide roll-back --reason "...". '
    : '';
  const next = {
    recovered: `${back}When its tasks are done: lifeboat close`,
    aborted: 'Nobody recovers it any more. See how it was left: lifeboat report',
  } as Partial<Record<Phase, string>>;
  return notice(news, incidentKey(id), {
    state: 'resolved',
    title: `incident ${words[phase]}: ${scenario} of ${database}`,
    text: [
      ...(phase === 'recovered' || phase === 'closed'
        ? [`${figure('RTO', rtoSeconds, objectives.rtoSeconds)}, ${figure('RPO', rpoSeconds, objectives.rpoSeconds)}.`]
        : []),
      ...(ending === undefined ? [] : [`${ending}.`]),
      next[phase] ?? `The whole record: lifeboat report --incident ${id}`,
    ].join('\n'),
  });
}
