import { Option, type Command } from 'commander';
import { protectedBy, type Protected } from '../plan/access.js';
import type { LoadedPlan } from '../plan/load.js';
import { Expected } from './output.js';

/** Which component a command is about. */
export interface Which {
  database?: string;
  files?: string;
  redis?: string;
  code?: string;
}

export const addWhich = (command: Command): Command =>
  command
    .addOption(new Option('--database <name>', 'this database; needed when the plan has several'))
    .addOption(new Option('--files <name>', 'these files'))
    .addOption(new Option('--redis <name>', 'this Redis server'))
    .addOption(new Option('--code <name>', 'these repositories'));

/**
 * What of the plan is meant by name; all of it when nothing was named. Throws {@link Expected} for a name that the plan
 * does not have.
 */
export function named({ plan }: LoadedPlan, which: Which): Protected[] {
  const all = protectedBy(plan);
  const asked = (['database', 'files', 'redis', 'code'] as const).filter((option) => which[option] !== undefined);
  if (asked.length === 0) return all;
  return asked.flatMap((option) => {
    const of = all.filter(({ kind }) =>
      option === 'database' ? kind === 'physical' || kind === 'logical' : kind === option,
    );
    const found = of.filter(({ component }) => component === which[option]);
    if (found.length > 0) return found;
    const names = [...new Set(of.map(({ component }) => component))];
    throw new Expected(
      `The plan backs up no ${option === 'database' ? 'database' : option} named "${which[option]}".`,
      names.length > 0
        ? `It has ${names.join(', ')}: --${option} ${names[0]}`
        : 'It names none; add one to the plan, then: lifeboat check',
    );
  });
}

/**
 * Throws {@link Expected} for a location that the plan does not have: mistyped, it would look as if there were no
 * backup.
 */
export function demandLocation({ plan }: LoadedPlan, location: string | undefined): void {
  const names = Object.keys(plan.locations);
  if (location === undefined || names.includes(location)) return;
  throw new Expected(
    `The plan has no location "${location}".`,
    `It has ${names.join(', ')}: --location ${names[0] ?? 'NAME'}. Nothing was changed.`,
  );
}
