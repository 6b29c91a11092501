import { type Command, Option } from 'commander';
import { Expected, printJson, printLine } from '../output.js';
import { globals, withLifeboat } from '../session.js';

/** `lifeboat report`: the report of an incident, as Markdown, JSON, or one HTML page. */
export function register(program: Command): void {
  program
    .command('report')
    .description('print the report of an incident')
    .argument('[incident]', 'its name, from lifeboat incidents; the open or the last one by default')
    .addOption(new Option('--format <format>', 'how').choices(['md', 'json', 'html']).default('md'))
    .option('--out <file>', 'write it there')
    .action(async (id: string | undefined, { format, out }: { format: 'md' | 'json' | 'html'; out?: string }, command: Command) => {
      await withLifeboat(command, async (lifeboat) => {
        const { renderHtml, renderJson, renderMarkdown } = await import('../../activities/reports/index.js');
        const state = await (await lifeboat.find(id)).state();
        const ui = process.env['LIFEBOAT_TEMPORAL_UI'];
        const options = { now: new Date(), timezone: lifeboat.plan.plan.timezone, ...(ui ? { temporalUi: ui } : {}) };
        const kind = globals(command).json ? 'json' : format;
        const text = kind === 'json' ? renderJson(state) : kind === 'html' ? renderHtml(state, options) : renderMarkdown(state, options);
        if (!out) {
          printLine(text);
          return;
        }
        await (await import('node:fs/promises')).writeFile(out, text).catch((error: unknown) => {
          const { code, message } = error as NodeJS.ErrnoException;
          throw new Expected(`${out} cannot be written (${code ?? message}).`, 'Name another file: lifeboat report --out FILE');
        });
        if (globals(command).json) printJson({ written: out });
        else printLine(`Written: ${out}`);
      });
    });
}
