import { lossTitle, phaseText } from '../../activities/reports/facts.js';
import { count, oneLine, sentence } from '../../activities/reports/text.js';
import { formatBytes } from '../../vocabulary/units.js';
import { ofThis } from './answers.js';
import type { Context } from './context.js';

/** What came of it, and what to type next. */
export function ending(context: Context): string[] {
  const { state, paint, glyphs, commandPrefix, width } = context;
  const { phase } = state;
  const good = phase === 'recovered' || phase === 'closed';
  const open = state.tasks.filter((task) => !task.doneAt);
  const title = phase === 'recovered' ? 'RECOVERED: the service is verified' : phaseText[phase].toUpperCase();
  const command = (line: string, means: string): string[] => [
    `   ${paint.bold(paint.cyan(`${commandPrefix} ${line}${ofThis(state)}`))}`,
    ...context.block(means, '       '),
  ];
  const undo = state.canRollBack
    ? command(
        `decide roll-back --reason "${glyphs.ellipsis}"`,
        'takes back what was put in place; the damaged data comes back as it was',
      )
    : [];
  const tasks =
    open.length > 0
      ? `ends the incident, once ${count(open.length, 'task')} ${open.length === 1 ? 'is' : 'are'} done: ${open.map((task) => task.name).join(', ')}`
      : 'ends the incident; its tasks are done';
  return [
    (good ? paint.green : paint.yellow)(glyphs.line.repeat(width)),
    paint.bold(
      (good ? paint.green : paint.red)(
        ` ${context.fit(`${glyphs.steps[good ? 'done' : 'failed']} ${title}`, width - 2)}`,
      ),
    ),
    ...(state.ending ? context.block(sentence(oneLine(state.ending)), ' ') : []),
    ...(state.lost.length > 0 || good ? ['', ` ${paint.bold(lossTitle(state.mode))}`] : []),
    ...state.lost.flatMap((line) => context.block(oneLine(line), '   ', ` ${glyphs.dot} `)),
    ...(state.lost.length === 0 && good ? [` ${glyphs.dot} no loss was recorded`] : []),
    ...(state.quarantine.length > 0
      ? [
          '',
          ` ${paint.bold('Quarantine')}`,
          ...context.block('kept until a person removes it by an explicit command:', ' '),
        ]
      : []),
    ...state.quarantine.flatMap((one) => [
      ...context.block(`${oneLine(one.what)}, ${formatBytes(one.bytes)}`, '   ', ` ${glyphs.dot} `),
      `   ${oneLine(one.host)}:${oneLine(one.path)}`,
    ]),
    '',
    paint.bold(' Type next:'),
    ...command(
      'report',
      state.report
        ? `shows the whole record; the control worker wrote it to ${oneLine(state.report)}`
        : 'shows the whole record',
    ),
    ...(phase === 'recovered' ? [...undo, ...command('close', tasks)] : []),
  ];
}
