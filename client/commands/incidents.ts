import { corruption } from '../../vocabulary/scenario.js';
import type { Command } from 'commander';
import { printJson, printLine } from '../output.js';
import { globals, withLifeboat } from '../session.js';

/** `lifeboat incidents`: every incident and drill that Temporal still has, the open one first. */
export function register(program: Command): void {
  program
    .command('incidents')
    .description('list incidents and drills, the open one first')
    .action(async (_options: unknown, command: Command) => {
      await withLifeboat(command, async (lifeboat, { prefix }) => {
        const incidents = await lifeboat.incidents();
        if (globals(command).json) {
          printJson(incidents);
          return;
        }
        if (incidents.length === 0)
          printLine(`No incident and no drill yet. Rehearse one: ${prefix} drill start ${corruption}`);
        for (const { id, scenario, phase, step, declaredAt, endedAt } of incidents) {
          const at = step !== null && (phase === 'open' || phase === 'waiting') ? `  at "${step}"` : '';
          printLine(
            `${endedAt ? ' ' : '▶'} ${id.padEnd(36)} ${scenario.padEnd(20)} ${phase.padEnd(12)} ${declaredAt.slice(0, 19).replace('T', ' ')} UTC${at}`,
          );
        }
      });
    });
}
