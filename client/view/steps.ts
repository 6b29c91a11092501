import { formatStep, stepSeconds } from '../../activities/reports/facts.js';
import { oneLine } from '../../activities/reports/text.js';
import { secondsBetween } from '../../activities/reports/times.js';
import { formatBytes, formatDuration } from '../../vocabulary/units.js';
import { type Progress, questionAbout, type StepRecord, titleOf } from '../../vocabulary/incident.js';
import { columns, pad, padLeft } from './columns.js';
import type { Context } from './context.js';
import { bar } from './glyphs.js';

/** One line for each step: its sign, its name, how long, and what was found or done. */
export function steps(context: Context): string[] {
  const { state, width } = context;
  const names = [...state.steps.map((step) => oneLine(titleOf(step))), ...state.ahead.map(oneLine)];
  const nameWidth = Math.min(Math.max(8, ...names.map(columns)), Math.floor(width * 0.38));
  const running = state.steps.findLast((step) => step.status === 'running' && !isAsked(step, context));
  return [
    ...state.steps.flatMap((step) => [
      stepLine(step, context, nameWidth),
      ...(step === running ? context.progress.flatMap((one) => progressLines(one, context)) : []),
      ...problemLines(step, context),
    ]),
    ...state.ahead.map((name) =>
      context.paint.dim(` ${pad(context.glyphs.steps.ahead, 2)} ${context.fit(oneLine(name), width - 5)}`),
    ),
  ];
}

function stepLine(step: StepRecord, context: Context, nameWidth: number): string {
  const { paint, glyphs, now, width } = context;
  const asked = isAsked(step, context);
  const seconds = stepSeconds(step, now);
  const took = padLeft(seconds === undefined ? '' : formatStep(seconds), 7);
  const sign = pad(asked && step.status !== 'failed' ? glyphs.steps.waiting : glyphs.steps[step.status], 2);
  const name = pad(context.fit(oneLine(titleOf(step)), nameWidth), nameWidth);
  const summary = context.fit(summaryOf(step, context, asked), width - nameWidth - 15);
  const color =
    asked && step.status !== 'failed'
      ? paint.yellow
      : { done: paint.green, failed: paint.red, running: paint.cyan, skipped: paint.yellow, 'by hand': paint.yellow }[
          step.status
        ];
  const strong = asked || step.status === 'running' || step.status === 'failed';
  return ` ${color(sign)} ${strong ? paint.bold(color(name)) : name}  ${strong ? took : paint.dim(took)}  ${summary}`.trimEnd();
}

function summaryOf(step: StepRecord, { state, now }: Context, asked: boolean): string {
  if (asked) {
    const tried =
      step.status !== 'failed' ? '' : step.attempts > 1 ? `failed, ${step.attempts} attempts; ` : 'failed; ';
    return `${tried}waits for a person, ${formatDuration(secondsBetween(questionAbout(state, step)!.askedAt, now))}`;
  }
  const { decision } = step;
  const words = [
    ...(step.rehearsed ? ['rehearsed'] : []),
    ...(step.attempts > 1
      ? [step.status === 'running' ? `attempt ${step.attempts}` : `${step.attempts} attempts`]
      : []),
    ...(decision && step.status !== 'done' && step.status !== 'running'
      ? [`${decidedAs(step)} by ${decision.by}${decision.reason ? `: ${decision.reason}` : ''}`]
      : []),
    ...(step.summary ? [step.summary] : []),
    ...(step.status === 'running' && !step.summary && step.host ? [`on ${step.host}`] : []),
  ];
  return oneLine(words.join('; '));
}

/** What a person made of a step that did not end by itself. */
function decidedAs({ status, decision }: StepRecord): string {
  if (decision?.choice === 'abort') return 'aborted';
  return status === 'by hand' ? 'done by hand' : status;
}

const isAsked = (step: StepRecord, { state }: Context): boolean => questionAbout(state, step) !== undefined;

/** The question says the problem of its own step, in full. */
function problemLines(step: StepRecord, context: Context): string[] {
  const { problem } = step;
  if (!problem || isAsked(step, context) || step.status === 'done') return [];
  return [
    ...context.block(oneLine(problem.message), '      ').map(context.paint.red),
    ...(problem.hint && step.status === 'failed'
      ? context.block(oneLine(problem.hint), '            ', '      Next: ')
      : []),
  ];
}

function progressLines(one: Progress, context: Context): string[] {
  const { percent, bytesDone, bytesTotal, secondsLeft } = one;
  const part = percent ?? (bytesDone !== undefined && bytesTotal ? (bytesDone / bytesTotal) * 100 : undefined);
  const words = [
    ...(part === undefined
      ? []
      : [`${bar(part / 100, context.width < 60 ? 8 : 16, context.glyphs)} ${Math.floor(part)}%`]),
    ...(bytesDone === undefined
      ? []
      : [bytesTotal ? `${formatBytes(bytesDone)} of ${formatBytes(bytesTotal)}` : formatBytes(bytesDone)]),
    ...(secondsLeft === undefined ? [] : [`about ${formatDuration(secondsLeft)} left`]),
    oneLine(one.what),
  ];
  return [
    context.paint.cyan(`      ${context.fit(words.join('  '), context.width - 7)}`),
    // Never cut: it is copied.
    ...(one.type === undefined ? [] : [`      ${context.paint.bold(one.type)}`]),
  ];
}
