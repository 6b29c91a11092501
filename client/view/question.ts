import { oneLine } from '../../activities/reports/text.js';
import { secondsBetween } from '../../activities/reports/times.js';
import { formatDuration } from '../../vocabulary/units.js';
import { titleOf } from '../../vocabulary/incident.js';
import type { Question } from '../../vocabulary/question.js';
import { answerCommand, whatToFillIn } from './answers.js';
import type { Context } from './context.js';

/** What the incident waits for: the question, the figures to decide on, and the command for each answer. */
export function question(asked: Question, context: Context): string[] {
  const { state, paint, glyphs, now, width, commandPrefix } = context;
  const kind = asked.kind === 'approval' ? 'AN APPROVAL IS NEEDED' : 'A DECISION IS NEEDED';
  const since = formatDuration(secondsBetween(asked.askedAt, now));
  const { problem } = asked;
  const fill = whatToFillIn(asked.choices, glyphs.ellipsis);
  return [
    paint.yellow(glyphs.line.repeat(width)),
    paint.bold(
      paint.yellow(
        ` ${context.fit(`${glyphs.steps.waiting} ${kind}: ${oneLine(titleOf({ ...asked, name: asked.step }))} (asked ${since} ago)`, width - 2)}`,
      ),
    ),
    ...context.block(oneLine(asked.text), ' ').map(paint.bold),
    ...(problem
      ? [
          '',
          ...context
            .block(
              `${problem.type ? `${problem.type}: ` : ''}${oneLine(problem.message)}`,
              '   ',
              ` ${glyphs.steps.failed} `,
            )
            .map(paint.red),
        ]
      : []),
    ...(problem?.hint ? context.block(oneLine(problem.hint), '         ', '   Hint: ') : []),
    ...(asked.facts.length > 0 ? [''] : []),
    ...asked.facts.flatMap((fact) => context.block(oneLine(fact), '   ', ` ${glyphs.dot} `)),
    ...(asked.kind === 'approval' && state.approvals > 1
      ? [
          '',
          ...context
            .block(
              `The plan wants a second person: ${oneLine(state.declaredBy)}, who declared the incident, may not approve it.`,
              ' ',
            )
            .map(paint.yellow),
        ]
      : []),
    '',
    paint.bold(' Type one of these:'),
    ...asked.choices.flatMap((choice) => [
      `   ${paint.bold(paint.cyan(answerCommand(choice, commandPrefix, state, asked, glyphs.ellipsis)))}`,
      ...context.block(oneLine(choice.meaning), '       '),
    ]),
    ...(fill ? context.block(fill, ' ').map(paint.dim) : []),
  ];
}
