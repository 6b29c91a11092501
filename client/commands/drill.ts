import type { Command } from 'commander';
import { declare, takesScenario } from './start.js';

/** `lifeboat drill start NAME`: the real scenario on scratch targets; nothing of production is touched. */
export async function register(program: Command): Promise<void> {
  const start = program
    .command('drill')
    .description('rehearse a scenario: restore and verify on scratch, touch nothing of production, measure RTO and RPO')
    .command('start')
    .description('start a drill and follow it')
    .option('--detach', 'return as soon as the request was checked')
    .action(async (scenario: string, options: { database?: string; to?: string; detach?: boolean }, command: Command) =>
      declare(command, scenario, options, 'drill'),
    );
  await takesScenario(start, true);
}
