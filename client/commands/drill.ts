import type { Command } from 'commander';

/** `lifeboat drill start <scenario>`: the real scenario on scratch targets; nothing of production is touched. */
export function register(program: Command): void {
  program
    .command('drill')
    .description('rehearse a scenario: restore and verify on scratch, touch nothing of production, measure RTO and RPO')
    .command('start')
    .description('start a drill and follow it')
    .argument('<scenario>', 'the disaster: database-corruption')
    .option('--database <name>', 'the database; needed when the plan has several')
    .option('--to <target>', 'restore to a target, as in lifeboat start')
    .option('--detach', 'return as soon as the request was checked')
    .action(async (scenario: string, options: { database?: string; to?: string; detach?: boolean }, command: Command) => {
      const { declare } = await import('./start.js');
      await declare(command, scenario, options, 'drill');
    });
}
