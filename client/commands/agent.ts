import type { Command } from 'commander';
import { Expected } from '../output.js';
import { readPlan } from '../session.js';

/** `lifeboat agent --host NAME`: the agent of one host. */
export function register(program: Command): void {
  program
    .command('agent')
    .description(
      'run the agent of this host: it does what incidents ask of this host, and keeps its databases protected',
    )
    .requiredOption('--host <name>', 'the name of this host in the plan')
    .action(async ({ host }: { host: string }, command: Command) => {
      // Before the plan is read, which may come through a pipe.
      const { lean } = await import('../../worker/lean.js');
      lean();
      const plan = await readPlan(command);
      const hosts = Object.keys(plan.plan.hosts);
      if (!hosts.includes(host)) throw new Expected(`The plan has no host "${host}".`, `It has ${hosts.join(', ')}.`);
      const { runAgent } = await import('../../worker/agent.js');
      const { untilSignal } = await import('../../worker/run-worker.js');
      await runAgent(plan, host, untilSignal());
      process.exit(0);
    });
}
