import type { Command } from 'commander';
import { readPlan } from '../session.js';

/** `lifeboat worker`: the control worker. */
export function register(program: Command): void {
  program
    .command('worker')
    .description('run the control worker: it carries out incidents, wherever it runs')
    .action(async (_options: unknown, command: Command) => {
      const plan = await readPlan(command);
      const { runControl } = await import('../../worker/control.js');
      const { untilSignal } = await import('../../worker/run-worker.js');
      await runControl(plan, untilSignal());
      process.exit(0);
    });
}
