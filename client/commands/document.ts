import type { Command } from 'commander';

/**
 * `lifeboat document`: the plan as the document that people read and print, in Markdown. Exits 1 when the plan has
 * problems, 2 when the file cannot be written.
 */
export function register(program: Command): void {
  program
    .command('document')
    .description('print the plan as a disaster-recovery document, in Markdown')
    .option('--out <file>', 'write it to a file instead of the terminal')
    .action(async (_options: unknown, command: Command) => {
      const {
        plan: file = 'lifeboat.yaml',
        json = false,
        out,
      } = command.optsWithGlobals<{ plan?: string; json?: boolean; out?: string }>();
      const [{ formatProblems, loadPlan, PlanError }, { renderDocument }, { writeFile }, { basename }] =
        await Promise.all([
          import('../../plan/load.js'),
          import('../../document/document.js'),
          import('node:fs/promises'),
          import('node:path'),
        ]);
      try {
        const { plan, digest } = await loadPlan(file);
        // The name alone: the path of this machine means nothing to who reads the print.
        const document = renderDocument(plan, { now: new Date(), path: basename(file) });
        if (out !== undefined) await writeFile(out, document);
        if (json)
          process.stdout.write(
            `${JSON.stringify({ ok: true, digest, ...(out === undefined ? { document } : { out }) }, null, 2)}\n`,
          );
        else if (out === undefined) process.stdout.write(document);
        else
          process.stdout.write(
            `${out}: written, from plan ${digest}. Print it, and keep a copy where a disaster does not reach.\n`,
          );
      } catch (error) {
        if (error instanceof PlanError) {
          if (json) process.stdout.write(`${JSON.stringify({ ok: false, problems: error.problems }, null, 2)}\n`);
          else process.stderr.write(formatProblems(error));
          process.exitCode = 1;
        } else if (isSystemError(error)) {
          const message = `${out ?? 'the document'} cannot be written (${error.code}). Name another file: lifeboat document --out FILE`;
          if (json) process.stdout.write(`${JSON.stringify({ ok: false, error: message }, null, 2)}\n`);
          else process.stderr.write(`${message}\n`);
          process.exitCode = 2;
        } else throw error;
      }
    });
}

const isSystemError = (error: unknown): error is Error & { code: string } =>
  error instanceof Error && 'code' in error && typeof error.code === 'string';
