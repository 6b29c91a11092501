import { lstat, realpath } from 'node:fs/promises';
import type { Command } from 'commander';
import type { Plan } from '../../plan/schema.js';

/** `lifeboat check`: whether the plan file is whole. Exits 0 when it is, 1 when it has problems. Changes nothing. */
export function register(program: Command): void {
  program
    .command('check')
    .description('check the plan file: every problem with its line, and what would be right')
    .action(async (_options: unknown, command: Command) => {
      const { plan: file = 'lifeboat.yaml', json = false } = command.optsWithGlobals<{
        plan?: string;
        json?: boolean;
      }>();
      const { formatProblems, loadPlan, PlanError } = await import('../../plan/load.js');
      try {
        const { plan, digest } = await loadPlan(file);
        const notes = await links(plan);
        const text = [
          `${file}: good. ${contents(plan)}; digest ${digest}`,
          ...notes,
          'Next, type: lifeboat doctor',
          '',
        ].join('\n');
        process.stdout.write(json ? asJson({ ok: true, problems: [], notes, digest }) : text);
      } catch (error) {
        if (!(error instanceof PlanError)) throw error;
        if (json) process.stdout.write(asJson({ ok: false, problems: error.problems, digest: null }));
        else process.stderr.write(formatProblems(error));
        process.exitCode = 1;
      }
    });
}

/** `1 database, 2 hosts`: what the plan holds. */
function contents(
  plan: Record<'databases' | 'hosts' | 'services' | 'locations', object> & { drills: unknown[] },
): string {
  const count = (number: number, one: string): string => `${number} ${number === 1 ? one : `${one}s`}`;
  return [
    count(Object.keys(plan.databases).length, 'database'),
    count(Object.keys(plan.hosts).length, 'host'),
    count(Object.keys(plan.services).length, 'service'),
    count(Object.keys(plan.locations).length, 'location'),
    count(plan.drills.length, 'drill'),
  ].join(', ');
}

/**
 * A data directory that is a link on this machine: that is no mistake, and whoever looks for copies beside it should
 * know where they are.
 */
async function links(plan: Plan): Promise<string[]> {
  const notes: string[] = [];
  for (const [name, { postgres }] of Object.entries(plan.databases)) {
    const { dataDirectory } = postgres;
    for (const path of typeof dataDirectory === 'string' ? [dataDirectory] : Object.values(dataDirectory ?? {})) {
      if (!(await lstat(path).catch(() => undefined))?.isSymbolicLink()) continue;
      const real = await realpath(path).catch(() => 'nothing');
      notes.push(
        `databases.${name}.postgres.dataDirectory: ${path} is a link to ${real} on this machine; copies and quarantine lie beside that directory`,
      );
    }
  }
  return notes;
}

const asJson = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;
