import type { Command } from 'commander';
import { Expected, printJson, printLine } from '../output.js';
import { questionSeen } from '../answer.js';
import { withLifeboat } from '../session.js';
import { drillOption, incidentOption, ofIncident } from '../which-incident.js';

interface Answer {
  reason?: string;
  to?: string;
  question?: number;
  drill?: boolean;
  incident?: string;
}

/** `lifeboat decide <choice>`: a person answers the question that the open incident asks. */
export function register(program: Command): void {
  program
    .command('decide')
    .description('answer the open question; lifeboat watch shows what is offered, and what it means')
    .argument(
      '<choice>',
      'one that the question offers, such as retry, skip, done, approve, restore; or roll-back, abort',
    )
    .option('--reason <text>', 'why, for the record')
    .option('--to <target>', 'for restore: the target')
    .option('--question <number>', 'the question that you have read; without it, it is shown first', numbered)
    .addOption(drillOption())
    .addOption(incidentOption())
    .action(async (choice: string, { reason, to, question, drill, incident: id }: Answer, command: Command) => {
      // Which there are, the open question says: they are the scenario's own words.
      if (!/^[a-z][a-z-]*$/.test(choice))
        throw new Expected(`"${choice}" is no choice.`, 'See which are offered now: lifeboat watch');
      refusePlaceholder(reason);
      if (to) (await import('../../vocabulary/target.js')).parseTarget(to);
      await withLifeboat(command, async (lifeboat, globals) => {
        const { by, json, prefix } = globals;
        const incident = lifeboat.incident(drill ? 'drill' : 'real', id);
        const seen = await questionSeen(incident, choice, question, globals);
        const said = await incident.decide({
          by,
          choice,
          ...(reason ? { reason } : {}),
          ...(to ? { target: to } : {}),
          ...(seen === undefined ? {} : { question: seen }),
        });
        if (json) printJson({ said });
        else printLine(`${said}. Follow it: ${prefix} watch${ofIncident(id)}`);
      });
    });
}

/** The number of a question. Throws {@link Expected}. */
export function numbered(text: string): number {
  if (/^\d+$/.test(text)) return Number(text);
  throw new Expected(
    `"${text}" is not the number of a question.`,
    'lifeboat watch --once --json shows the one that is open, as state.question.id',
  );
}

/** The three dots of the printed command are not a reason. */
export function refusePlaceholder(reason: string | undefined): void {
  if (reason !== undefined && /^(…|\.\.\.)?$/.test(reason.trim()))
    throw new Expected('That is not a reason yet.', 'Say why in your own words: --reason "..."');
}
