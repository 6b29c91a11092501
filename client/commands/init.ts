import { drillCommand } from '../../vocabulary/scenario.js';
import type { Command } from 'commander';

/**
 * `lifeboat init`: writes a first plan from what it finds on this machine, and its JSON schema beside it. Exits 2 when
 * a plan is there already.
 */
export function register(program: Command): void {
  program
    .command('init')
    .description('write a first plan file from what is found on this machine (DATABASE_URL, local PostgreSQL)')
    .option('--force', 'overwrite the plan file that is there')
    .action(async (_options: unknown, command: Command) => {
      const {
        plan: file = 'lifeboat.yaml',
        json = false,
        force = false,
      } = command.optsWithGlobals<{ plan?: string; json?: boolean; force?: boolean }>();
      const [
        { findOnThisMachine, starterNotes, starterPlan },
        { parsePlan },
        { planJsonSchema },
        { planDigest },
        { access, writeFile },
        { dirname, join },
      ] = await Promise.all([
        import('../../plan/starter.js'),
        import('../../plan/load.js'),
        import('../../plan/json-schema.js'),
        import('../../plan/digest.js'),
        import('node:fs/promises'),
        import('node:path'),
      ]);
      const stop = (message: string): void => {
        if (json) process.stdout.write(`${JSON.stringify({ ok: false, error: message }, null, 2)}\n`);
        else process.stderr.write(`${message}\n`);
        process.exitCode = 2;
      };
      const exists = (path: string): Promise<boolean> =>
        access(path).then(
          () => true,
          () => false,
        );
      if (!force && (await exists(file))) {
        stop(
          `${file} is there already, and was left as it is. To check it, type: lifeboat check. To overwrite it: lifeboat init --force`,
        );
        return;
      }
      const findings = await findOnThisMachine(process.env);
      const text = starterPlan(findings);
      // Checked before it is written: a plan that does not pass is a bug of ours, and must not stand in a file.
      const digest = planDigest(parsePlan(text, file));
      const schema = join(dirname(file), 'lifeboat.schema.json');
      try {
        // Without --force, a file that has appeared since is not overwritten either.
        await writeFile(file, text, { flag: force ? 'w' : 'wx' });
        if (force || !(await exists(schema))) await writeFile(schema, planJsonSchema());
      } catch (error) {
        stop(
          `${file} cannot be written (${String((error as NodeJS.ErrnoException).code ?? error)}). Name another place: lifeboat init --plan FILE`,
        );
        return;
      }
      const notes = starterNotes(findings);
      if (json) {
        process.stdout.write(`${JSON.stringify({ ok: true, file, schema, digest, notes }, null, 2)}\n`);
        return;
      }
      const lines = [
        `${file}: written and good; digest ${digest}`,
        ...notes.map((note) => `  - ${note}`),
        `Now edit the lines marked EDIT: objectives, the location of the backups, services, and who is on call.`,
        'Next, type: lifeboat check',
        `Then, with lifeboat up running: lifeboat backup create --full, and prove the plan by a restore: ${drillCommand}`,
      ];
      process.stdout.write(`${lines.join('\n')}\n`);
    });
}
