import type { Command } from 'commander';
import { globals, withLifeboat } from '../session.js';
import { drillOption, incidentOption } from '../which-incident.js';

interface Watching {
  once?: boolean;
  drill?: boolean;
  incident?: string;
}

/** `lifeboat watch`: what on-call looks at: steps, clock, and the question when there is one. */
export function register(program: Command): void {
  program
    .command('watch')
    .description('follow the open incident, or another one by its name')
    .argument('[incident]', 'its name, from lifeboat incidents; by default the open one, or the last')
    .addOption(incidentOption())
    .addOption(drillOption())
    .option('--once', 'print how it stands now, and return')
    .action(async (id: string | undefined, { once, drill, incident: named }: Watching, command: Command) => {
      await withLifeboat(command, async (lifeboat) => {
        const incident = await lifeboat.find(id ?? named, drill ? 'drill' : 'real');
        if (!once) {
          const { follow } = await import('../follow.js');
          process.exitCode = await follow(incident, globals(command), { wait: process.stdout.isTTY });
          return;
        }
        const { codeOf, colors } = await import('../follow.js');
        const { printJson, printLine } = await import('../output.js');
        const { renderView } = await import('../view.js');
        const { json, prefix } = globals(command);
        const [state, progress] = await Promise.all([incident.state(), incident.progress().catch(() => [])]);
        if (json) printJson({ state, progress });
        else
          for (const line of renderView({
            state,
            progress,
            now: new Date(),
            width: process.stdout.columns || 100,
            color: colors(),
            commandPrefix: prefix,
          }))
            printLine(line);
        process.exitCode = codeOf(state);
      });
    });
}
