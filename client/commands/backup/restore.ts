import { recoverCommand } from '../../../vocabulary/scenario.js';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { showProgress } from '../../backup-progress.js';
import { findBackup } from '../../find-backup.js';
import type { Lifeboat } from '../../lifeboat.js';
import { Expected, exitCodes, printJson, printLine } from '../../output.js';
import { globals, theDatabase, withBackups } from '../../session.js';
import { addWhich, demandLocation, type Which } from '../../component-option.js';
import type { RestoreInput } from '../../../vocabulary/backup-work.js';

interface Options extends Which {
  file?: string;
  into?: string;
  dropExisting?: boolean;
  location?: string;
  without?: string[];
  skipFailed?: boolean;
  yes?: boolean;
}

export function register(backup: Command): void {
  addWhich(
    backup
      .command('restore')
      .description(`restore a dump, files or code; a physical backup is restored by an incident: ${recoverCommand}`)
      .argument('[id]', 'the backup, as `lifeboat backup list` shows it'),
  )
    .option('--file <path>', 'a local dump instead, as pg_dump wrote it')
    .option('--into <name>', 'a new database, or an empty directory')
    .option('--drop-existing', 'in the place of what is there, which is renamed aside and kept')
    .option('--location <name>', 'from this location; by default the first one at which it is sound')
    .option(
      '--without <what...>',
      'of a dump: leave these out, by the number that a failed restore named, or as schema.name; and what needs them',
    )
    .option(
      '--skip-failed',
      'of a dump, with --into: leave out whatever cannot be restored; it is listed, and the exit code is 1',
    )
    .option('--yes', 'do not ask for the name to be typed')
    .action(async (id: string | undefined, options: Options, command: Command) => {
      demandOne(id, options);
      if (options.dropExisting && !options.yes) demandTerminal();
      await withBackups(command, async (lifeboat) => {
        demandLocation(lifeboat.plan, options.location);
        const request = await requestOf(lifeboat, id, options);
        if (options.dropExisting && !options.yes) await demandName(nameOf(lifeboat, request));
        const { json } = globals(command);
        const stop = json
          ? () => undefined
          : showProgress(() => lifeboat.backups.progress(request.kind, request.component));
        const result = await lifeboat.backups.restore(request).finally(stop);
        if (result.leftOut) process.exitCode = exitCodes.problems;
        if (json) printJson(result);
        else {
          printLine(`${result.summary}, in ${result.seconds} s`);
          if (result.aside)
            printLine(`What was there is kept as ${result.aside}. Remove it when nobody needs it any more.`);
        }
      });
    });
}

function demandOne(id: string | undefined, { file, into, dropExisting, skipFailed }: Options): void {
  if ((id === undefined) === (file === undefined))
    throw new Expected(
      'Which backup? Give its ID, or a dump by --file.',
      'See what there is: lifeboat backup list. Nothing was changed.',
    );
  if ((into === undefined) === (dropExisting !== true)) {
    throw new Expected(
      'Where to? Either --into NAME, or --drop-existing.',
      '--into restores beside what is there; --drop-existing renames that aside and takes its place. Nothing was changed.',
    );
  }
  if (skipFailed && dropExisting) {
    throw new Expected(
      'What takes the place of a database leaves out only what was named before.',
      'See what cannot be restored: --into NAME --skip-failed; then --drop-existing --without NUMBER. Nothing was changed.',
    );
  }
}

async function requestOf(
  lifeboat: Lifeboat,
  id: string | undefined,
  options: Options,
): Promise<Omit<RestoreInput, 'system'>> {
  const { file, into, dropExisting, location, without, skipFailed } = options;
  const parts = { ...(without ? { without } : {}), ...(skipFailed ? { skipFailed } : {}) };
  const how = {
    ...parts,
    ...(into ? { into } : {}),
    ...(dropExisting ? { dropExisting } : {}),
    ...(location ? { location } : {}),
  };
  if (file !== undefined)
    return { kind: 'logical', component: theDatabase(lifeboat.plan, options.database), file: resolve(file), ...how };
  const of = await findBackup(lifeboat, id!, options);
  if (of.kind !== 'logical' && Object.keys(parts).length > 0)
    throw new Expected(
      `${id} is no dump: it is restored whole.`,
      'Leave out --without and --skip-failed. Nothing was changed.',
    );
  if (of.kind === 'physical') {
    throw new Expected(
      `${id} is a physical backup of ${of.component}: it is restored by an incident, which stops writes, verifies it and puts it in place.`,
      `${recoverCommand} --database ${of.component} --to ${id}; or try it on scratch: lifeboat backup test`,
    );
  }
  return { ...of, id: id!, ...how };
}

/** What a person must type. */
const nameOf = ({ plan: { plan } }: Lifeboat, { kind, component }: { kind: string; component: string }): string =>
  kind === 'logical' ? (plan.databases[component]?.name ?? component) : component;

function demandTerminal(): void {
  if (process.stdin.isTTY && process.stderr.isTTY) return;
  throw new Expected(
    '--drop-existing takes the place of what is there, and nobody is here to type its name.',
    'Add --yes. Nothing was changed.',
  );
}

async function demandName(name: string): Promise<void> {
  const { createInterface } = await import('node:readline/promises');
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const typed = await terminal
    .question(`${name} is renamed aside, and the backup takes its place. Type its name to go on: `)
    .catch((error: unknown) => {
      // Ctrl-C and Ctrl-D are answers, too.
      if ((error as Error).name !== 'AbortError') throw error;
      process.stderr.write('\n');
      throw new Expected('No name was typed.', 'Nothing was changed.', exitCodes.refused);
    })
    .finally(() => terminal.close());
  if (typed !== name) throw new Expected(`That is not its name: "${typed}".`, 'Nothing was changed.');
}
