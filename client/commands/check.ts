import type { Command } from 'commander';

/** `lifeboat check`: whether the plan file is whole. Exits 0 when it is, 1 when it has problems. Touches nothing but the file. */
export function register(program: Command): void {
  program
    .command('check')
    .description('check the plan file: every problem with its line, and what would be right')
    .action(async (_options: unknown, command: Command) => {
      const { plan: file = 'lifeboat.yaml', json = false } = command.optsWithGlobals<{ plan?: string; json?: boolean }>();
      const { formatProblems, loadPlan, PlanError } = await import('../../plan/load.js');
      try {
        const { plan, digest } = await loadPlan(file);
        const text = `${file}: good. ${contents(plan)}; digest ${digest}\nNext, type: lifeboat doctor\n`;
        process.stdout.write(json ? asJson({ ok: true, problems: [], digest }) : text);
      } catch (error) {
        if (!(error instanceof PlanError)) throw error;
        if (json) process.stdout.write(asJson({ ok: false, problems: error.problems, digest: null }));
        else process.stderr.write(formatProblems(error));
        process.exitCode = 1;
      }
    });
}

/** `1 database, 2 hosts`: what the plan holds. */
function contents(plan: Record<'databases' | 'hosts' | 'services' | 'locations', object> & { drills: unknown[] }): string {
  const count = (number: number, one: string): string => `${number} ${number === 1 ? one : `${one}s`}`;
  return [
    count(Object.keys(plan.databases).length, 'database'),
    count(Object.keys(plan.hosts).length, 'host'),
    count(Object.keys(plan.services).length, 'service'),
    count(Object.keys(plan.locations).length, 'location'),
    count(plan.drills.length, 'drill'),
  ].join(', ');
}

const asJson = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;
