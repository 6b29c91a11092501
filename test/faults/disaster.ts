import { damageIndex, overwritePages } from '../../lab/damage.js';
import type { Lab } from '../../lab/lab.js';
import { burst, writeContinuously, type Writer } from '../../lab/shop.js';
import { moment, timelineOf } from '../helpers/end-state.js';
import { canaryBeats } from '../helpers/end-state.js';

/** What a lab was before its disaster, and who wrote to it all the time. */
export interface Before {
  timeline: number;
  writer: Writer;
  /** How the database is recovered: from a backup, or by a repair in place. */
  recovery: 'restore' | 'repair';
  /** A moment before the damage, with commits before and after it. */
  moment: string;
  /** Rows that were acknowledged by then. */
  writtenByThen: number[];
}

/**
 * An application writes; then pages of a table are overwritten, or the order of an index is lost, and it goes on
 * writing.
 */
export async function disaster(lab: Lab, recovery: Before['recovery']): Promise<Before> {
  const timeline = await timelineOf(lab.primary);
  const writer = writeContinuously(lab.primary);
  await burst(lab.primary, 50);
  const writtenByThen = writer.written.map(({ id }) => id);
  const at = await moment(lab.primary);
  await canaryBeats(lab.primary);
  if (recovery === 'repair') await damageIndex(lab.primary, 'orders_customer');
  else await overwritePages(lab.primary, 'orders');
  await burst(lab.primary, 50);
  return { timeline, writer, recovery, moment: at, writtenByThen };
}

/** Every agent is killed: what comes next is done without them. */
export async function noAgents(lab: Lab): Promise<void> {
  for (const agent of Object.values(lab.agents)) await agent.kill9();
}
