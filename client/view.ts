import { isOpen } from '../activities/reports/facts.js';
import { oneLine } from '../activities/reports/text.js';
import { formatClock } from '../activities/reports/times.js';
import { ofThis } from './view/answers.js';
import { contextOf, type Context, type ViewInput } from './view/context.js';
import { ending } from './view/ending.js';
import { head } from './view/head.js';
import { question } from './view/question.js';
import { steps } from './view/steps.js';

export type { ViewInput } from './view/context.js';
export { renderEvents } from './view/events.js';

/**
 * What on-call looks at in `lifeboat watch`: one string for each line, none wider than the terminal but for commands
 * and paths, which must be copied whole.
 */
export function renderView(input: ViewInput): string[] {
  const context = contextOf(input);
  const { state } = context;
  return [
    ...head(context),
    '',
    ...steps(context),
    ...warnings(context),
    ...notes(context),
    '',
    ...(state.questions.length > 0 ? asked(context) : isOpen(state.phase) ? leaving(context) : ending(context)),
  ];
}

/** What is being asked, with its figures and the command for each answer; nothing when nothing is. */
export function renderQuestion(input: ViewInput): string[] {
  return asked(contextOf(input));
}

const asked = (context: Context): string[] =>
  context.state.questions.flatMap((one, at) => [...(at > 0 ? [''] : []), ...question(one, context)]);

function warnings({ state, paint, glyphs, block }: Context): string[] {
  if (state.warnings.length === 0) return [];
  return [
    '',
    ...state.warnings.flatMap((line) => block(oneLine(line), '   ', ` ${glyphs.warning} `).map(paint.yellow)),
  ];
}

/** The latest ones; all of them stand in the report. */
function notes({ state, paint, block }: Context): string[] {
  if (state.notes.length === 0) return [];
  return [
    '',
    ...state.notes
      .slice(-3)
      .flatMap((note) =>
        block(`${formatClock(note.at)} ${oneLine(note.by)}: ${oneLine(note.text)}`, '      ', ' Note ').map(paint.dim),
      ),
  ];
}

function leaving({ state, paint, commandPrefix, glyphs, block }: Context): string[] {
  return [
    ...block(
      `Ctrl-C leaves this view and stops nothing: the recovery goes on, and "${commandPrefix} watch${ofThis(state)}" shows it again.`,
      ' ',
    ),
    ...block('To stop the recovery, type:', ' '),
    `   ${commandPrefix} abort --reason "${glyphs.ellipsis}"${ofThis(state)}`,
  ].map(paint.dim);
}
