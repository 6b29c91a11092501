import type { Command } from 'commander';
import type { ScenarioName } from '../../vocabulary/scenario.js';
import { declare, eachScenario } from './start.js';

/** `lifeboat drill start NAME`: the real scenario on scratch targets; nothing of production is touched. */
export async function register(program: Command): Promise<void> {
  const start = program
    .command('drill')
    .description('rehearse a scenario: restore and verify on scratch, touch nothing of production, measure RTO and RPO')
    .command('start')
    .description('start a drill and follow it');
  await eachScenario(
    start,
    (command) =>
      command
        .option('--detach', 'return as soon as the request was checked')
        .action(async (options: { database?: string; to?: string; detach?: boolean }, one: Command) =>
          declare(one, one.name() as ScenarioName, options, 'drill'),
        ),
    true,
  );
}
