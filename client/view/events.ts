import { formatStep, isOpen, phaseText, rehearsal, verdicts } from '../../activities/reports/facts.js';
import { oneLine, sentence } from '../../activities/reports/text.js';
import { formatClock, secondsBetween } from '../../activities/reports/times.js';
import { formatBytes, formatDuration } from '../../vocabulary/units.js';
import {
  type IncidentState,
  type Progress,
  questionAbout,
  type StepRecord,
  titleOf,
} from '../../vocabulary/incident.js';
import type { Question } from '../../vocabulary/question.js';
import { answerCommand, ofThis } from './answers.js';
import { ascii, unicode, type Glyphs } from './glyphs.js';

export interface EventProgress {
  before: Progress[];
  now: Progress[];
}

export interface EventOptions {
  commandPrefix?: string;
  /** Stamps the lines that have no time of their own. */
  now?: Date;
  ascii?: boolean;
}

/**
 * For pipes and log files: new lines only when something changed between two looks. `previous` is undefined at the
 * first.
 */
export function renderEvents(
  previous: IncidentState | undefined,
  next: IncidentState,
  progress: EventProgress,
  options: EventOptions = {},
): string[] {
  const glyphs = options.ascii ? ascii : unicode;
  const commandPrefix = options.commandPrefix ?? 'lifeboat';
  const now = (options.now ?? new Date()).toISOString();
  const line = (at: string, text: string): string => `${formatClock(at)} UTC  ${oneLine(text)}`;
  return [
    ...(previous ? [] : [line(next.declaredAt, declared(next))]),
    ...next.steps.flatMap((step, at) =>
      stepEvents(previous?.steps[at], step, glyphs, questionAbout(next, step) !== undefined).map(([when, text]) =>
        line(when, text),
      ),
    ),
    ...progressEvents(progress).map((text) => line(now, text)),
    ...next.warnings
      .slice(previous?.warnings.length ?? 0)
      .map((text) => line(now, `${glyphs.warning} warning: ${text}`)),
    ...next.notes.slice(previous?.notes.length ?? 0).map((note) => line(note.at, `note by ${note.by}: ${note.text}`)),
    ...next.questions
      .filter(({ id }) => !previous?.questions.some((one) => one.id === id))
      .flatMap((question) => asked(question, next, glyphs, commandPrefix, line)),
    ...(previous?.phase !== next.phase ? phaseEvents(next, now, line, commandPrefix, glyphs.ellipsis) : []),
  ];
}

function declared(state: IncidentState): string {
  const word = rehearsal(state.mode)?.word;
  return `${word ? `${word}: ` : ''}${state.id}: ${state.declaredBy} declared ${state.scenario} for the database ${state.database} of ${state.system}, RTO objective ${formatDuration(state.objectives.rtoSeconds)}`;
}

function stepEvents(
  before: StepRecord | undefined,
  step: StepRecord,
  glyphs: Glyphs,
  isAsked: boolean,
): [string, string][] {
  const events: [string, string][] = [];
  const sign = glyphs.steps[step.status];
  if (!before)
    events.push([step.startedAt, `${glyphs.steps.running} ${titleOf(step)}${step.host ? ` on ${step.host}` : ''}`]);
  else if (step.attempts > before.attempts)
    events.push([
      step.decision?.at ?? step.startedAt,
      `${glyphs.steps.running} ${titleOf(step)}: attempt ${step.attempts}${step.decision ? `, decided by ${step.decision.by}` : ''}`,
    ]);
  if (step.status !== 'running' && (before?.status !== step.status || before.attempts !== step.attempts)) {
    const at = step.endedAt ?? step.startedAt;
    const took = step.endedAt ? `, ${formatStep(secondsBetween(step.startedAt, at))}` : '';
    const by =
      step.decision && step.status !== 'done'
        ? ` by ${step.decision.by}${step.decision.reason ? ` (${step.decision.reason})` : ''}`
        : '';
    const says = [
      step.summary,
      ...(step.status === 'failed' && !isAsked ? [step.problem?.message, step.problem?.hint] : []),
    ]
      .filter((part) => part !== undefined)
      .map(sentence)
      .join(' ');
    events.push([
      at,
      `${sign} ${titleOf(step)}: ${step.status}${step.rehearsed ? ' (rehearsed)' : ''}${by}${took}${says ? `: ${says}` : ''}`,
    ]);
  }
  return events;
}

/** A long step speaks at each tenth of its way. */
function progressEvents({ before, now }: EventProgress): string[] {
  return now.flatMap((one) => {
    // Said once: how long it takes is in what comes next.
    if (one.waits)
      return before.some(({ waits }) => waits)
        ? []
        : [`  ${one.what}${one.type === undefined ? '' : `\n  → ${one.type}`}`];
    const percent = percentOf(one);
    if (percent === undefined) return [];
    const last = before.find((other) => other.what === one.what);
    const reached = Math.floor(percent / 10);
    if (reached === 0 || (last && reached <= Math.floor((percentOf(last) ?? 0) / 10))) return [];
    const bytes =
      one.bytesDone === undefined
        ? ''
        : `, ${formatBytes(one.bytesDone)}${one.bytesTotal ? ` of ${formatBytes(one.bytesTotal)}` : ''}`;
    const left = one.secondsLeft === undefined ? '' : `, about ${formatDuration(one.secondsLeft)} left`;
    return [`  ${one.what}: ${Math.floor(percent)}%${bytes}${left}`];
  });
}

const percentOf = ({ percent, bytesDone, bytesTotal }: Progress): number | undefined =>
  percent ?? (bytesDone !== undefined && bytesTotal ? (bytesDone / bytesTotal) * 100 : undefined);

type Line = (at: string, text: string) => string;

function asked(question: Question, state: IncidentState, glyphs: Glyphs, commandPrefix: string, line: Line): string[] {
  const { problem } = question;
  return [
    line(
      question.askedAt,
      `${glyphs.steps.waiting} ${question.kind} needed at "${titleOf({ ...question, name: question.step })}": ${question.text}`,
    ),
    ...(problem
      ? [`    ${oneLine(sentence(problem.message))}${problem.hint ? ` Hint: ${oneLine(problem.hint)}` : ''}`]
      : []),
    ...question.facts.map((fact) => `    ${glyphs.dot} ${oneLine(fact)}`),
    '    Type one of these:',
    ...question.choices.map(
      (choice) =>
        `      ${answerCommand(choice, commandPrefix, state, question, glyphs.ellipsis)}    (${oneLine(choice.meaning)})`,
    ),
  ];
}

function phaseEvents(state: IncidentState, now: string, line: Line, commandPrefix: string, ellipsis: string): string[] {
  if (isOpen(state.phase)) return [];
  const word = rehearsal(state.mode)?.word;
  const next =
    state.phase !== 'recovered'
      ? ['report']
      : ['report', ...(state.canRollBack ? [`decide roll-back --reason "${ellipsis}"`] : []), 'close'];
  return [
    line(state.endedAt ?? now, `${word ? `${word}: ` : ''}${phaseText[state.phase]}. ${state.ending ?? ''}`),
    ...verdicts(state, new Date(now)).map((one) => `    ${one.objective} ${oneLine(one.says)}`),
    ...state.lost.map((text) => `    lost: ${oneLine(text)}`),
    ...state.quarantine.map(
      (one) =>
        `    quarantine: ${oneLine(one.host)}:${oneLine(one.path)}, ${formatBytes(one.bytes)}, kept until a person removes it`,
    ),
    '    Type next:',
    ...next.map((words) => `      ${commandPrefix} ${words}${ofThis(state)}`),
  ];
}
