import type { CopyFigures } from '../../vocabulary/incident.js';
import { StepFailed } from '../failure.js';
import type { At, OnDatabase } from '../step.js';

/**
 * What the copy that is in place holds, looked at when it was put there and again when it is taken away: what came to
 * it meanwhile.
 */

/** `count`: the rows of the plan's tables, too. */
export const figuresOf = (at: At, { database, host }: OnDatabase, count: boolean): Promise<CopyFigures> =>
  at.looksOn(host, 'change').copyFigures({ database, count });

/**
 * What it was when it was put in place, to say after a roll-back what came since. A recovery does not wait for a person
 * because of it.
 */
export const noteFigures = (at: At, { database, host }: OnDatabase): Promise<void> =>
  at.orElse(
    async () => void (at.state.placed = await at.looksOn(host, 'tidy').copyFigures({ database, count: false })),
    () => undefined,
  );

/**
 * What is in place must be what this incident put there: another one may have restored again since, and its copy is not
 * put aside for this one.
 */
export async function mayTakeBack(at: At, { database, host }: OnDatabase): Promise<void> {
  demandOwn(at, await at.looksOn(host).copyFigures({ database, count: false }));
}

/** Throws WrongTarget. */
export function demandOwn({ state }: At, now: CopyFigures): void {
  const { placed } = state;
  if (placed?.timeline == null || now.timeline === null || placed.timeline === now.timeline) return;
  throw new StepFailed(
    'WrongTarget',
    `what is in place is on timeline ${now.timeline}, and incident ${state.id} put a copy on timeline ${placed.timeline} there: something was restored since`,
    'What came later is rolled back first: see lifeboat incidents, then lifeboat decide roll-back --incident NAME --reason "..."',
  );
}
