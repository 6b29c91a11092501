import { factOf, isFailureOf } from '../failure.js';
import type { At } from '../step.js';

/** What was committed after the closing is in the damaged database alone: whoever approves must know. */

/** The last count is the one that holds. Null: nobody can tell how many. */
export function tellBehindFence(at: At, database: string, commits: number | null): void {
  const { state } = at;
  const component = at.component(database);
  const how =
    commits === null
      ? `what was committed in ${database} ${mark} cannot be told, and somebody has started its server since`
      : `${commits} ${commits === 1 ? 'transaction was' : 'transactions were'} committed in ${database} ${mark}`;
  const says = `${how}: not in the restored copy, kept with the old data`;
  const others = (lines: string[]) => lines.filter((line) => !line.includes(mark));
  state.behindFence = commits;
  component.doubts = [...others(component.doubts), says];
  component.lost = [...others(component.lost), says];
  at.warn(says);
}

const mark = 'after it was closed';

/** What whoever approves knows of it. */
export const toldBehind = ({ state }: At): number | null => (state.behindFence === undefined ? 0 : state.behindFence);

/** Takes out of a failure how much was committed behind the fence. */
export function noteBehind(at: At, database: string, error: unknown): void {
  const behind = isFailureOf(error, 'WrittenBehindFence') && factOf(error, 'behind');
  if (typeof behind === 'number' || behind === null) tellBehindFence(at, database, behind);
}
