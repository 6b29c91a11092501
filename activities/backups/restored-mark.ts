import { readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { checkpoint } from '../checkpoint.js';
import { failure } from '../errors.js';
import { exists, removeTree, writeWhole, readFile } from '../files.js';
import type { Cluster } from '../postgres/cluster.js';
import type { Scratch } from '../postgres/scratch.js';
import { stopServer } from '../postgres/server.js';
import { clearFill } from './wal-fill.js';
import type { KnownEnd } from './known-end.js';
import type { TestRestoreResult } from '../../vocabulary/backup-work.js';

/**
 * What is written down beside a restored copy: whose it is, of which backup, recovered to what, and how far it came.
 */
export interface Mark {
  incident: string;
  label: string;
  location: string;
  target: string;
  /** `going`: it is being removed, and part of it may be gone. */
  stage: 'files' | 'fetched' | 'recovered' | 'placed' | 'going';
  /** What was known of the end of the WAL when the files were fetched. */
  known?: KnownEnd;
  /** Found before the copy was promoted: it ends before what is known. */
  short?: string;
  restored?: Restored;
  /** The standbys that had said what they have of the WAL. */
  standbys?: string[];
  /** What was brought into it of production, and was not so in the backup: a line each. */
  differences?: string[];
  /** A test of a backup that came to its end: what it found. Only the copy is left to remove. */
  tested?: { at: string; result: TestRestoreResult };
}

export interface Restored {
  summary: string;
  /** The time of the last transaction that was recovered, as the server's log says it. */
  recoveredTo?: string;
  timeline: number;
  /** It ends before what production is known to have committed: where and why, one line. */
  short?: string;
  bytes: number;
  seconds: number;
}

const markFile = (scratch: Scratch) => `${scratch.directory}.json`;

export async function readMark(scratch: Scratch): Promise<Mark | undefined> {
  const text = await readFile(markFile(scratch), 'utf8').catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as Mark);
}

export const writeMark = (scratch: Scratch, mark: Mark) =>
  writeWhole(markFile(scratch), JSON.stringify(mark), { what: `marking the copy as ${mark.stage}` });

/** Throws WrongTarget unless the copy is there, is this incident's, and was recovered. */
export async function demandRestored(scratch: Scratch, incident: string): Promise<Restored> {
  const mark = await readMark(scratch);
  if (mark?.incident === incident && mark.restored) return mark.restored;
  throw failure(
    'WrongTarget',
    `there is no restored copy of incident ${incident} at ${scratch.directory}`,
    'Restore again: lifeboat decide retry',
  );
}

/** A test of the backup came to its end: an attempt after a crash needs no other copy. */
export async function markTested(scratch: Scratch, tested: NonNullable<Mark['tested']>): Promise<void> {
  const mark = await readMark(scratch);
  if (mark) await writeMark(scratch, { ...mark, tested });
}

/** The copy took production's place: from here on nothing of it is scratch any more. */
export async function markPlaced(scratch: Scratch): Promise<void> {
  const mark = await readMark(scratch);
  if (mark && mark.stage !== 'placed') await writeMark(scratch, { ...mark, stage: 'placed' });
}

/** It did not hold in place and was put aside: it is a copy again. */
export async function markRecovered(scratch: Scratch): Promise<void> {
  const mark = await readMark(scratch);
  if (mark?.stage === 'placed') await writeMark(scratch, { ...mark, stage: 'recovered' });
}

export const wasPlaced = async (scratch: Scratch): Promise<boolean> => (await readMark(scratch))?.stage === 'placed';

/** Removes a copy, its server stopped first. Throws WrongTarget when production uses part of it. */
export async function discardScratch(cluster: Cluster, scratch: Scratch): Promise<void> {
  const tablespaces = `${scratch.directory}.tablespaces`;
  if (await usedBy(cluster.dataDirectory, tablespaces)) {
    throw failure(
      'WrongTarget',
      `${tablespaces} holds tablespaces of the database in place`,
      'Nothing was removed. Look at the host before you decide anything.',
    );
  }
  await stopServer(cluster, scratch.directory);
  // From here on nobody may take it for a whole copy, whichever instant we are killed at.
  const mark = await readMark(scratch);
  if (mark && mark.stage !== 'going') {
    const { restored: _gone, ...rest } = mark;
    await writeMark(scratch, { ...rest, stage: 'going' });
  }
  await checkpoint('before removing the copy');
  await removeTree(scratch.directory);
  await checkpoint('during removing the copy');
  await removeTree(tablespaces);
  await removeTree(scratch.socketDirectory);
  await removeTree(scratch.hba);
  await clearFill(cluster, scratch);
  await removeTree(markFile(scratch));
}

async function usedBy(dataDirectory: string, tablespaces: string): Promise<boolean> {
  if (!(await exists(tablespaces))) return false;
  const links = join(dataDirectory, 'pg_tblspc');
  for (const name of await readdir(links).catch((): string[] => [])) {
    if ((await readlink(join(links, name)).catch(() => '')).startsWith(`${tablespaces}/`)) return true;
  }
  return false;
}
