import type { ComponentRecord } from '../../vocabulary/component.js';
import { formatDuration } from '../../vocabulary/units.js';
import { type IncidentState, type Mode, type Phase, type StepRecord, titleOf } from '../../vocabulary/incident.js';
import type { ReportOptions } from './options.js';
import { sentence } from './text.js';
import { formatMoment, secondsBetween } from './times.js';

/** What every form of the report says, worked out once. */

export interface Rehearsal {
  word: 'DRILL' | 'DRY RUN';
  means: string;
}

/** Nothing for a real incident. */
export function rehearsal(mode: Mode): Rehearsal | undefined {
  if (mode === 'drill') {
    return {
      word: 'DRILL',
      means:
        'This is a drill, not a disaster. It ran on scratch targets: a step marked “rehearsed” was proven possible in production, and not done there.',
    };
  }
  if (mode === 'dry-run') {
    return {
      word: 'DRY RUN',
      means: 'This is a dry run: nothing was changed. A step marked “rehearsed” was proven possible, and not done.',
    };
  }
  return undefined;
}

export const isOpen = (phase: Phase): boolean => phase === 'open' || phase === 'waiting';

export interface Verdict {
  objective: 'RTO' | 'RPO';
  title: string;
  objectiveSeconds: number;
  /** null: not measured. */
  seconds: number | null;
  /** null: cannot be told. */
  met: boolean | null;
  /** Why it was not measured, or what is known about how it was. */
  note?: string;
  /** The whole, in one line. */
  says: string;
}

export function verdicts(state: IncidentState, now: Date): [Verdict, Verdict] {
  const { measured, objectives } = state;
  const elapsed = secondsBetween(state.declaredAt, state.endedAt ?? now);
  // What was rolled back did not last: nothing of it was achieved, whatever was measured.
  if (state.phase === 'rolled back') return rolledBack(state);
  const overdue = isOpen(state.phase) && measured.rtoSeconds === null && elapsed > objectives.rtoSeconds;
  const running = `the service is not recovered yet, ${formatDuration(elapsed)} after the declaration`;
  return [
    verdict(
      'RTO',
      'Recovery time',
      objectives.rtoSeconds,
      measured.rtoSeconds,
      measured.rtoNote ?? whyNot(state, measured.rtoSeconds, running),
      overdue,
    ),
    verdict(
      'RPO',
      'Data lost, in time',
      objectives.rpoSeconds,
      measured.rpoSeconds,
      measured.rpoNote ?? whyNot(state, measured.rpoSeconds, 'no copy has been verified yet'),
    ),
  ];
}

export interface ComponentVerdicts {
  name: string;
  kind: ComponentRecord['kind'];
  rto: Verdict;
  /** A service has none: it holds no data of its own. */
  rpo?: Verdict;
}

/** For each component, where there is more than one: otherwise its figures are the incident's. */
export function componentVerdicts(state: IncidentState, now: Date): ComponentVerdicts[] {
  if (state.components.length < 2) return [];
  return state.components.map(({ name, kind, objectives, measured }) => {
    const rpoSeconds = objectives.rpoSeconds ?? 0;
    const of = { ...state, measured, objectives: { rtoSeconds: objectives.rtoSeconds, rpoSeconds } };
    const [rto, rpo] = verdicts(of, now);
    return { name, kind, rto, ...(objectives.rpoSeconds === undefined ? {} : { rpo }) };
  });
}

function rolledBack({ measured, objectives }: IncidentState): [Verdict, Verdict] {
  const why = (note: string | undefined, seconds: number | null) =>
    seconds === null && note
      ? note
      : `the recovery was rolled back${seconds === null ? '' : `; before that it was ${formatDuration(seconds)}`}`;
  return [
    verdict('RTO', 'Recovery time', objectives.rtoSeconds, null, why(measured.rtoNote, measured.rtoSeconds)),
    verdict('RPO', 'Data lost, in time', objectives.rpoSeconds, null, why(measured.rpoNote, measured.rpoSeconds)),
  ];
}

function verdict(
  objective: Verdict['objective'],
  title: string,
  objectiveSeconds: number,
  seconds: number | null,
  note?: string,
  overdue = false,
): Verdict {
  const wanted = `objective ${formatDuration(objectiveSeconds)}`;
  if (seconds === null) {
    const says = `not measured: ${note ?? 'no figure was recorded'} (${wanted}${overdue ? ', already missed' : ''})`;
    return {
      objective,
      title,
      objectiveSeconds,
      seconds,
      met: overdue ? false : null,
      says,
      note: note ?? 'no figure was recorded',
    };
  }
  const met = seconds <= objectiveSeconds;
  const about = `${formatDuration(seconds)} (${wanted}: ${met ? 'met' : `missed by ${formatDuration(seconds - objectiveSeconds)}`})`;
  return {
    objective,
    title,
    objectiveSeconds,
    seconds,
    met,
    says: note ? `${about}; ${note}` : about,
    ...(note ? { note } : {}),
  };
}

function whyNot({ phase }: IncidentState, seconds: number | null, whileOpen: string): string | undefined {
  if (seconds !== null) return undefined;
  if (isOpen(phase)) return whileOpen;
  if (phase === 'refused') return 'the request was refused before anything was changed';
  if (phase === 'aborted') return 'the recovery was aborted before the service was verified';
  if (phase === 'rolled back') return 'the recovery was rolled back';
  return undefined;
}

/** What happened, in two or three sentences. */
export function opening(state: IncidentState, options: ReportOptions): string[] {
  const { title } = state;
  const about = title ? ` (${title.charAt(0).toLowerCase()}${title.slice(1)})` : '';
  return [
    `On ${formatMoment(state.declaredAt, options.timezone)}, ${state.declaredBy} declared ${state.scenario}${about} for the database ${state.database} of the system ${state.system}.`,
    outcome(state, options.now),
    ...(state.ending ? [sentence(state.ending)] : []),
  ];
}

const asked = ({ questions, steps }: IncidentState): string =>
  questions.length === 0
    ? `at the step “${steps.length > 0 ? titleOf(steps.at(-1)!) : ''}”.`
    : questions
        .map((one) => `at the step “${titleOf({ ...one, name: one.step })}”: ${sentence(one.text)}`)
        .join(' And ');

function outcome(state: IncidentState, now: Date): string {
  const { rtoSeconds } = state.measured;
  const word = rehearsal(state.mode)?.word.toLowerCase();
  const lasted = formatDuration(secondsBetween(state.declaredAt, state.endedAt ?? now));
  switch (state.phase) {
    case 'open':
      return `The recovery has been running for ${lasted}, and is at the step “${state.steps.at(-1)?.name ?? 'none yet'}”.`;
    case 'waiting':
      return `The recovery has been running for ${lasted}, and waits for a person ${asked(state)}`;
    case 'refused':
      return 'The request was refused, and nothing was changed.';
    case 'aborted':
      return `It was aborted ${lasted} after the declaration.`;
    case 'rolled back':
      return 'The recovery was rolled back.';
    default:
      if (word)
        return rtoSeconds === null
          ? `The ${word} is complete.`
          : `The ${word} reached a verified service ${formatDuration(rtoSeconds)} after the declaration.`;
      return rtoSeconds === null
        ? 'The recovery is complete.'
        : `The service was recovered and verified ${formatDuration(rtoSeconds)} after the declaration.`;
  }
}

export const phaseText: Record<Phase, string> = {
  open: 'Running',
  waiting: 'Waiting for a person',
  recovered: 'Recovered, tasks still open',
  closed: 'Closed',
  refused: 'Refused, nothing was changed',
  aborted: 'Aborted',
  'rolled back': 'Rolled back',
};

/** A rehearsal loses nothing; it shows what a disaster would have cost. */
export const lossTitle = (mode: Mode): string => (mode === 'real' ? 'What was lost' : 'What would have been lost');

/** How long a step took, or has been running; nothing when it ended at a moment that was not recorded. */
export function stepSeconds(step: StepRecord, now: Date): number | undefined {
  if (step.endedAt) return secondsBetween(step.startedAt, step.endedAt);
  return step.status === 'running' || step.status === 'failed' ? secondsBetween(step.startedAt, now) : undefined;
}

/** `20 ms`, where formatDuration would say `0.0s`. */
export const formatStep = (seconds: number): string =>
  seconds > 0 && seconds < 0.095 ? `${Math.round(seconds * 1000)} ms` : formatDuration(seconds);

/** Lifeboat, unless a person decided. */
export const who = (step: StepRecord): string => step.decision?.by ?? 'Lifeboat';

export const kept = 'It is kept. Lifeboat never removes it by itself: only an explicit command of a person does.';
