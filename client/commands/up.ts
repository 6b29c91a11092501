import type { Command } from 'commander';
import { readPlan } from '../session.js';

/** `lifeboat up`: Temporal, the control worker and this machine's agents together. */
export function register(program: Command): void {
  program
    .command('up')
    .description(
      'run everything on this machine: a Temporal development server with its data in a file, the control worker, and the agents of its hosts',
    )
    .option('--host <name...>', 'run the agents of these hosts; by default, of those whose address is on this machine')
    .option(
      '--listen <address>',
      'where Temporal listens: an address that the agents of other hosts reach',
      '127.0.0.1',
    )
    .option('--ui-port <port>', "where Temporal's own UI listens", Number)
    .action(async (options: { host?: string[]; listen: string; uiPort?: number }, command: Command) => {
      const plan = await readPlan(command);
      const { runUp } = await import('../../worker/up.js');
      const { untilSignal } = await import('../../worker/run-worker.js');
      await runUp(plan, { ...options, signal: untilSignal() });
      process.exit(0);
    });
}
