import type { Command } from 'commander';
import { printJson, printLine } from '../output.js';
import { questionSeen } from '../answer.js';
import { withLifeboat } from '../session.js';
import { numbered, refusePlaceholder } from './decide.js';
import { drillOption, incidentOption, ofIncident } from '../which-incident.js';

interface Answer {
  reason?: string;
  question?: number;
  drill?: boolean;
  incident?: string;
}

/** `lifeboat approve`: a person says yes to what is asked, under their name. */
export function register(program: Command): void {
  program
    .command('approve')
    .description('approve what the open incident asks for')
    .option('--reason <text>', 'why, for the record; asked for when not all is as it should be')
    .option('--question <number>', 'the question that you have read; without it, it is shown first', numbered)
    .addOption(drillOption())
    .addOption(incidentOption())
    .action(async ({ reason, question, drill, incident: id }: Answer, command: Command) => {
      refusePlaceholder(reason);
      await withLifeboat(command, async (lifeboat, globals) => {
        const { by, json, prefix } = globals;
        const incident = lifeboat.incident(drill ? 'drill' : 'real', id);
        const seen = await questionSeen(incident, 'approve', question, globals);
        const said = await incident.approve({
          by,
          ...(reason ? { reason } : {}),
          ...(seen === undefined ? {} : { question: seen }),
        });
        if (json) printJson({ said });
        else printLine(`Approved by ${by}. Follow it: ${prefix} watch${ofIncident(id)}`);
      });
    });
}
