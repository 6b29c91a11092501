import type { Command } from 'commander';
import { printJson, printLine } from '../output.js';
import { withLifeboat } from '../session.js';
import { numbered, refusePlaceholder } from './decide.js';

/** `lifeboat approve`: a person says yes to what is asked, under their name. */
export function register(program: Command): void {
  program
    .command('approve')
    .description('approve what the open incident asks for')
    .option('--reason <text>', 'why, for the record; asked for when not all is as it should be')
    .option('--question <number>', 'only if this is the question that is open', numbered)
    .option('--drill', 'of the drill that runs, and not of the incident')
    .action(async ({ reason, question, drill }: { reason?: string; question?: number; drill?: boolean }, command: Command) => {
      refusePlaceholder(reason);
      await withLifeboat(command, async (lifeboat, { by, json, prefix }) => {
        const said = await lifeboat
          .incident(drill ? 'drill' : 'real')
          .approve({ by, ...(reason ? { comment: reason } : {}), ...(question === undefined ? {} : { question }) });
        if (json) printJson({ said });
        else printLine(`Approved by ${by}. Follow it: ${prefix} watch`);
      });
    });
}
