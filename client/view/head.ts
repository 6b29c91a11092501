import { componentVerdicts, isOpen, rehearsal, verdicts } from '../../activities/reports/facts.js';
import { oneLine } from '../../activities/reports/text.js';
import { formatClock, secondsBetween } from '../../activities/reports/times.js';
import { formatDuration } from '../../vocabulary/units.js';
import type { Context } from './context.js';
import { bar, clock } from './glyphs.js';

/** Which incident this is, and the clock against its objectives. */
export function head(context: Context): string[] {
  const { state, paint, glyphs, now, width } = context;
  const rehearsed = rehearsal(state.mode);
  const loud =
    rehearsed &&
    {
      DRILL: 'DRILL: scratch targets. Production is not touched.',
      'DRY RUN': 'DRY RUN: nothing is changed. Steps only prove that they could be done.',
    }[rehearsed.word];
  const since = secondsBetween(state.declaredAt, now) > 86_400 ? state.declaredAt.slice(0, 10) + ' ' : '';
  const names = context.fit(
    [state.id, state.system, state.scenario, state.database].map(oneLine).join('  '),
    width - 1,
  );
  const declared = `declared ${since}${formatClock(state.declaredAt)} UTC by ${oneLine(state.declaredBy)}, target: ${oneLine(state.target)}`;
  return [
    ...(loud
      ? [paint.bold(paint.bgYellow(paint.black(context.band(` ${'*'.repeat(3)} ${loud} ${'*'.repeat(3)}`))))]
      : []),
    ` ${paint.bold(names)}`,
    paint.dim(` ${context.fit(declared, width - 2)}`),
    '',
    ...rto(context, glyphs),
    ...rpo(context),
    ...each(context),
  ];
}

/** A line for each component, where there are several: what is not back yet, and by when it is meant to be. */
function each(context: Context): string[] {
  const { state, now, paint, glyphs } = context;
  const all = componentVerdicts(state, now);
  const wide = Math.max(...all.map(({ name }) => name.length), 0);
  return all.flatMap(({ name, kind, rto: one, rpo: other }) => {
    const back = one.seconds !== null;
    const color = one.met === null ? paint.dim : one.met ? paint.green : paint.red;
    const served = back
      ? `serves after ${formatDuration(one.seconds!)} of ${formatDuration(one.objectiveSeconds)}${one.met ? '' : ': MISSED'}`
      : `${isOpen(state.phase) ? 'not back yet' : 'not measured'}, RTO ${formatDuration(one.objectiveSeconds)}${one.met === false ? ': EXCEEDED' : ''}`;
    const lost =
      other && other.seconds !== null
        ? `, RPO ${formatDuration(other.seconds)} of ${formatDuration(other.objectiveSeconds)}`
        : '';
    return context
      .block(`${glyphs.dot} ${oneLine(name).padEnd(wide)}  ${kind} ${served}${lost}`, '     ', '   ')
      .map(color);
  });
}

function rto(context: Context, glyphs: Context['glyphs']): string[] {
  const { state, now, paint, width } = context;
  const objective = state.objectives.rtoSeconds;
  const [verdict, other] = verdicts(state, now);
  const done = verdict.seconds !== null;
  if (!done && !isOpen(state.phase)) {
    const which = other.note === verdict.note && other.seconds === null ? 'RTO and RPO' : 'RTO';
    return context.block(`${which} not measured: ${oneLine(verdict.note ?? '')}`, '     ', ' ').map(paint.yellow);
  }
  const seconds = verdict.seconds ?? secondsBetween(state.declaredAt, now);
  const over = seconds - objective;
  const bars = bar(seconds / objective, width < 60 ? 8 : width < 100 ? 20 : 32, glyphs);
  const rest = over > 0 ? `${done ? 'MISSED' : 'EXCEEDED'} by ${clock(over)}` : done ? 'met' : `${clock(-over)} left`;
  const line = context.fit(` RTO ${clock(seconds)} of ${clock(objective)}  ${bars}  ${rest}`, width);
  if (over > 0) return [paint.bold(paint.bgRed(paint.white(context.band(line))))];
  if (done) return [paint.green(line)];
  return [paint.bold(seconds > objective * 0.8 ? paint.yellow(line) : line)];
}

function rpo(context: Context): string[] {
  const { state, now, paint } = context;
  const [other, verdict] = verdicts(state, now);
  if (verdict.seconds === null && isOpen(state.phase)) {
    return [paint.dim(` RPO objective ${formatDuration(verdict.objectiveSeconds)}`)];
  }
  if (verdict.seconds === null && other.seconds === null && other.note === verdict.note) return [];
  const color = verdict.met === null ? paint.yellow : verdict.met ? paint.green : paint.red;
  return context.block(`RPO ${oneLine(verdict.says)}`, '     ', ' ').map(color);
}
