import { type Command, Option } from 'commander';
import { Expected, printJson, printLine } from '../output.js';
import { globals, withLifeboat } from '../session.js';
import { drillOption, incidentOption } from '../which-incident.js';

interface Reporting {
  format: 'md' | 'json' | 'html';
  out?: string;
  drill?: boolean;
  incident?: string;
}

/** `lifeboat report`: the report of an incident, as Markdown, JSON, or one HTML page. */
export function register(program: Command): void {
  program
    .command('report')
    .description('print the report of an incident')
    .argument('[incident]', 'its name, from lifeboat incidents; by default the open one, or the last')
    .addOption(incidentOption())
    .addOption(drillOption())
    .addOption(new Option('--format <format>', 'how').choices(['md', 'json', 'html']).default('md'))
    .option('--out <file>', 'write it there')
    .action(async (id: string | undefined, { format, out, drill, incident: named }: Reporting, command: Command) => {
      await withLifeboat(command, async (lifeboat) => {
        const { renderHtml, renderJson, renderMarkdown } = await import('../../activities/reports/index.js');
        const state = await (await lifeboat.find(id ?? named, drill ? 'drill' : 'real')).state();
        const ui = process.env['LIFEBOAT_TEMPORAL_UI'];
        const options = { now: new Date(), timezone: lifeboat.plan.plan.timezone, ...(ui ? { temporalUi: ui } : {}) };
        const kind = globals(command).json ? 'json' : format;
        const text =
          kind === 'json'
            ? renderJson(state)
            : kind === 'html'
              ? renderHtml(state, options)
              : renderMarkdown(state, options);
        if (!out) {
          printLine(text);
          return;
        }
        await (await import('node:fs/promises')).writeFile(out, text).catch((error: unknown) => {
          const { code, message } = error as NodeJS.ErrnoException;
          throw new Expected(
            `${out} cannot be written (${code ?? message}).`,
            'Name another file: lifeboat report --out FILE',
          );
        });
        if (globals(command).json) printJson({ written: out });
        else printLine(`Written: ${out}`);
      });
    });
}
