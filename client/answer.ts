import { createInterface } from 'node:readline/promises';
import { type IncidentState, titleOf } from '../vocabulary/incident.js';
import type { Incident } from './incident.js';
import { exitCodes, Expected, printLine } from './output.js';
import type { Globals } from './session.js';

/**
 * The number of the question that an answer is to. Without `--question`, the one that is open is shown: in a terminal
 * it is asked for a yes, and elsewhere the command ends with the figures and with what to type. So nobody says yes to
 * figures that they never saw. Throws {@link Expected}.
 */
export async function questionSeen(
  incident: Incident,
  choice: string,
  given: number | undefined,
  { by, json, prefix }: Globals,
): Promise<number | undefined> {
  // An abort and a roll-back hold whatever is asked.
  if (given !== undefined || choice === 'abort' || choice === 'roll-back') return given;
  const state = await incident.state();
  const offering = state.questions.filter(({ choices }) => choices.some(({ name }) => name === choice));
  const [question] = offering;
  // What is not asked or not offered is refused by the incident, in its own words.
  if (!question) return state.question?.id;
  if (offering.length > 1) {
    const asked = offering.map((one) => `  ${one.id}: ${titleOf({ ...one, name: one.step })}: ${one.text}`);
    throw new Expected(
      `Which question is answered? Nothing was. These are open:\n${asked.join('\n')}`,
      `See them with their figures: ${prefix} watch. Then say which: --question NUMBER`,
    );
  }
  const shown = await figures({ ...state, questions: [question] }, prefix);
  if (json || !process.stdin.isTTY || !process.stdout.isTTY) {
    throw new Expected(
      `Which question is answered? Nothing was. Question ${question.id} is open:\n${shown.join('\n')}`,
      `When you have read it: lifeboat ${[...process.argv.slice(2), '--question', String(question.id)].map(quoted).join(' ')}`,
    );
  }
  for (const line of shown) printLine(line);
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  // Ctrl-D is no yes.
  const closed = new Promise<string>((resolve) => terminal.once('close', () => resolve('')));
  const said = await Promise.race([terminal.question(`\n${choice}, as ${by}, with these figures? [y/N] `), closed]);
  terminal.close();
  if (/^y(es)?$/i.test(said.trim())) return question.id;
  throw new Expected(
    'Nothing was answered: the question is still open.',
    `See it again: ${prefix} watch`,
    exitCodes.waiting,
  );
}

async function figures(state: IncidentState, commandPrefix: string): Promise<string[]> {
  const [{ renderQuestion }, { colors }] = await Promise.all([import('./view.js'), import('./follow.js')]);
  return renderQuestion({
    state,
    progress: [],
    now: new Date(),
    width: process.stdout.columns || 100,
    color: colors(),
    commandPrefix,
  });
}

/** As a shell takes it. */
const quoted = (word: string): string => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`);
