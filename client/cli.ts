import { recoverCommand } from '../vocabulary/scenario.js';
import { Command, CommanderError } from 'commander';
import { exitCodes, Expected, fail } from './output.js';
import * as abort from './commands/abort.js';
import * as agent from './commands/agent.js';
import * as alerts from './commands/alerts.js';
import * as approve from './commands/approve.js';
import * as backup from './commands/backup.js';
import * as check from './commands/check.js';
import * as close from './commands/close.js';
import * as decide from './commands/decide.js';
import * as doctor from './commands/doctor.js';
import * as document from './commands/document.js';
import * as drill from './commands/drill.js';
import * as incidents from './commands/incidents.js';
import * as init from './commands/init.js';
import * as note from './commands/note.js';
import * as report from './commands/report.js';
import * as schedules from './commands/schedules.js';
import * as start from './commands/start.js';
import * as up from './commands/up.js';
import * as watch from './commands/watch.js';
import * as worker from './commands/worker.js';

/** The on-call CLI: one file for each command, each of which loads what it needs only when it is run. */
const program = new Command('lifeboat')
  .description('Disaster recovery that runs.')
  .version('0.1.0')
  .option('--plan <file>', 'the plan file', process.env['LIFEBOAT_PLAN'] ?? 'lifeboat.yaml')
  .option('--json', 'print JSON, and everything else to standard error')
  .option('--as <name>', 'who you are, for the record (LIFEBOAT_USER; else your login name)')
  .showHelpAfterError('Type lifeboat --help for what there is.')
  .configureHelp({ showGlobalOptions: true })
  .addHelpText(
    'after',
    `\nIn a disaster: ${recoverCommand}, then lifeboat watch.\nExit codes: 0 done, 1 problems found, 2 bad input, 3 refused (nothing was changed), 4 a person must decide, 5 not recovered, 6 no answer, 70 a fault of Lifeboat.`,
  );
program.exitOverride();

const commands: { register(program: Command): void | Promise<void> }[] = [
  start,
  watch,
  incidents,
  approve,
  decide,
  note,
  abort,
  report,
  close,
  backup,
  drill,
  check,
  document,
  init,
  doctor,
  alerts,
  schedules,
  up,
  worker,
  agent,
];
for (const { register } of commands) await register(program);

// What Commander says of a mistyped command line is for people; a program that asked for JSON gets JSON.
const json = process.argv.includes('--json');
if (json) inJson(program);

try {
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof CommanderError)) await fail(error, json);
  else if (error.exitCode === 0) process.exitCode = 0;
  else if (json) {
    const message = error.code === 'commander.help' ? 'No command was given.' : error.message.replace(/^error: /, '');
    await fail(new Expected(message, 'Type lifeboat --help for what there is.'), json);
  } else process.exitCode = exitCodes.badInput;
}

function inJson(command: Command): void {
  command.configureOutput({ writeErr: () => undefined });
  command.commands.forEach(inJson);
}
