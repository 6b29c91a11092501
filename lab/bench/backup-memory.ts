import { statfsSync } from 'node:fs';
import type { Client } from '@temporalio/client';
import type { Lab } from '../lab.js';
import { databaseMegabytes, multiplyDocuments } from './documents.js';
import { type MemoryWatch, watchMemory } from './memory.js';
import type { Span } from './spans.js';
import { type Part, say } from './table.js';
import { ours, settle } from './turns.js';

/** Memory of the agent while it takes and restores dumps: of a large database no more than of a small one. */

export interface Dumped {
  megabytes: number;
  backups: Span[];
  restores: Span[];
}

const agent = 'agent of db1';
const times = 6;
const gigabytesNeeded = 20;

export const watchAgent = (lab: Lab): MemoryWatch => watchMemory({ [agent]: lab.agents['db1']!.pid() });

/** One dump and one restore of about 3 GB; undefined where the disk has no room for it, which is said. */
export async function measureLarge(lab: Lab, temporal: Client): Promise<Dumped | undefined> {
  const { bavail, bsize } = statfsSync(lab.directory);
  const free = (bavail * bsize) / 1e9;
  if (free < gigabytesNeeded) {
    say(`no database of 3 GB: ${gigabytesNeeded} GB are needed, and ${free.toFixed(0)} are free`);
    return undefined;
  }
  await multiplyDocuments(lab, times);
  const megabytes = await databaseMegabytes(lab);
  await settle(lab);
  const backup = await ours(lab, temporal, 'logical', 'main', ['backup', 'create', '--logical']);
  say(`  dump of ${megabytes} MB: ${backup.workflow.toFixed(1)} s`);
  const restore = await ours(lab, temporal, 'logical', 'main', ['backup', 'restore', backup.id, '--into', 'restored']);
  say(`  restore of it: ${restore.workflow.toFixed(1)} s`);
  await lab.primary.sql('DROP DATABASE restored', [], 'postgres');
  return { megabytes, backups: [backup.span], restores: [restore.span] };
}

export function memoryRows(memory: MemoryWatch, small: Dumped, large: Dumped | undefined): Part['rows'] {
  return (['backups', 'restores'] as const).map((kind) => {
    const what = `memory of the agent while it ${kind === 'backups' ? 'takes' : 'restores'} a dump`;
    const most = (of: Dumped) => memory.within(agent, of[kind]).max;
    const [few, many] = [most(small), large && most(large)];
    const at = (megabytes: number, of: Dumped) => `${megabytes.toFixed(0)} MB at most with ${of.megabytes} MB`;
    return {
      what,
      measured:
        many === undefined
          ? `${at(few, small)}; 3 GB NOT measured, for want of space`
          : `${at(few, small)}, ${at(many, large!)}`,
      aim: 'flat, under 250 MB',
      met: many !== undefined && Math.max(few, many) < 250 && many <= few * 1.1,
    };
  });
}
