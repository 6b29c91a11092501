import type { Command } from 'commander';
import { printJson, printLine } from '../output.js';
import { withLifeboat } from '../session.js';
import { numbered } from './decide.js';

/** `lifeboat approve`: a person says yes to what is asked, under their name. */
export function register(program: Command): void {
  program
    .command('approve')
    .description('approve what the open incident asks for')
    .option('--comment <text>', 'for the record')
    .option('--question <number>', 'only if this is the question that is open', numbered)
    .action(async ({ comment, question }: { comment?: string; question?: number }, command: Command) => {
      await withLifeboat(command, async (lifeboat, { by, json, prefix }) => {
        const said = await lifeboat
          .incident()
          .approve({ by, ...(comment ? { comment } : {}), ...(question === undefined ? {} : { question }) });
        if (json) printJson({ said });
        else printLine(`Approved by ${by} (${said}). Follow it: ${prefix} watch`);
      });
    });
}
