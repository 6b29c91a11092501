import type { Command } from 'commander';
import { Expected, exitCodes, printJson, printLine } from '../output.js';
import { globals, withLifeboat } from '../session.js';

/**
 * `lifeboat alerts`: what is wrong now, and which notices did not arrive; exits 1 when anything is open. `lifeboat
 * alerts test`: tries every channel.
 */
export function register(program: Command): void {
  const alerts = program
    .command('alerts')
    .description('what is wrong now, since when, and what to type next')
    .action(async (_options: unknown, command: Command) => show(command));

  alerts
    .command('test')
    .description(
      'send a test notice over every channel of the plan; PagerDuty opens an incident and resolves it at once',
    )
    .action(async (_options: unknown, command: Command) => test(command));
}

async function show(command: Command): Promise<void> {
  await withLifeboat(command, async (lifeboat) => {
    const { formatDuration } = await import('../../vocabulary/units.js');
    const now = await lifeboat.alerts();
    const { open, undelivered, sending, lastChecked } = now;
    if (open.length > 0) process.exitCode = exitCodes.problems;
    if (globals(command).json) {
      printJson(now);
      return;
    }
    const age = (at: string): string => formatDuration((Date.now() - Date.parse(at)) / 1000);
    for (const { severity, title, text, since } of open) {
      printLine(`${severity === 'critical' ? '✖ CRITICAL' : '! warning '} ${title} (since ${age(since)})`);
      printLine(`  → ${text}`);
    }
    for (const { channel, title, attempts, why } of sending)
      printLine(`… ${channel} was told ${attempts} times in vain, and is told again: ${title}${why ? `: ${why}` : ''}`);
    for (const { channel, state, title, at, why, hint } of undelivered) {
      printLine(`✉ not delivered by ${channel} (${state}, ${age(at)} ago): ${title}: ${why}`);
      if (hint) printLine(`  → ${hint}`);
    }
    const asked = lastChecked ? `the hosts were asked ${age(lastChecked)} ago` : 'the hosts were not asked yet';
    printLine(open.length === 0 ? `Nothing is wrong; ${asked}.` : `${open.length} open; ${asked}.`);
  });
}

async function test(command: Command): Promise<void> {
  await withLifeboat(command, async (lifeboat) => {
    const channels = await lifeboat.testAlerts();
    if (channels.length === 0)
      throw new Expected(
        'The plan names no channel: nobody is told when a backup fails.',
        'Add notifications: to the plan (docs/plan.md).',
      );
    if (channels.some(({ delivered }) => !delivered)) process.exitCode = exitCodes.problems;
    if (globals(command).json) {
      printJson({ channels });
      return;
    }
    for (const { channel, delivered, why, hint } of channels) {
      printLine(
        `${delivered ? '✔' : '✖'} ${channel.padEnd(10)} ${delivered ? 'took the test notice' : (why ?? 'was not delivered')}`,
      );
      if (hint) printLine(`  → ${hint}`);
    }
  });
}
