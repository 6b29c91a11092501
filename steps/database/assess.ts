import type { Assessment } from '../../activities/recovery/assess.js';
import { onHost } from '../../plan/access.js';
import { code, plain } from '../../plan/markdown.js';
import { type At, type OnDatabase, step } from '../step.js';

export type { Assessment };

export const assess = step({
  name: 'Assess the damage',
  does: 'Catalog, data checksums, heap and index structure and the queries of the plan decide: repairable, not repairable, or logically wrong.',
  here(plan, database) {
    const { postgres, name } = plan.databases[database]!;
    const { dataDirectory = '', primary } = postgres;
    return `database ${code(name)} in ${code(onHost(dataDirectory, primary))} on ${plain(primary)}.`;
  },
  touches: 'production',
  host: ({ host }: OnDatabase) => host,
  run: (at, on: OnDatabase) => assessment(at, on, 1),
  without: () => notAssessed(),
});

/** `round`: from 1, since evidence of an earlier one is kept. */
export async function assessment(at: At, { database, host }: OnDatabase, round: number): Promise<Assessment> {
  const found = await at.on(host, 'long').assess({ database, round });
  at.state.evidence.push(...found.files);
  return found;
}

/** A person looked at it instead: taken as the worst, so that nothing is left out. */
export const notAssessed = (): Assessment => ({
  summary: 'not assessed',
  classification: 'not repairable',
  findings: [],
  damagedIndexes: [],
  files: [],
});

export const notChecked = ({ notChecked = [] }: Assessment): string[] =>
  notChecked.map((what) => `not checked: ${what}`);
