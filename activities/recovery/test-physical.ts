import { readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { type Capability, progress } from '../capability.js';
import { checkpoint } from '../checkpoint.js';
import type { HostContext } from '../context.js';
import { failure, isFailure } from '../errors.js';
import { inTurn } from '../in-turn.js';
import { demandSpace } from './check-request.js';
import { type Cluster, testClusterOf } from '../postgres/cluster.js';
import { type Scratch, scratchOf } from '../postgres/scratch.js';
import { verifyCopy } from './verify-restored.js';
import type { TestRestoreRequest, TestRestoreResult } from '../../vocabulary/backup-work.js';
import { findCandidates } from '../backups/candidates.js';
import type { BackupSet } from '../backups/engine.js';
import { repositoryInfo } from '../backups/engines.js';
import { note } from '../backups/physical-records.js';
import { restoreCopy } from './restore-beside.js';
import { discardScratch, type Mark, markTested, readMark } from '../backups/restored-mark.js';
import { timelineOf } from '../backups/wal.js';

const prefix = 'test-';
const copyOf = (run: string) => `${prefix}${run.replace(/[^A-Za-z0-9-]/g, '-')}`;

/**
 * Restores one backup from one location and nothing else, in this host's scratch directory or else beside the database,
 * verifies it like a copy that is to take over, removes it, and notes in its record how fast it was. It never archives,
 * listens on no network, and knows nothing of production. Throws NoBackup, NotEnoughSpace, BackupDamaged,
 * VerificationFailed.
 */
export const testRestorePhysical = (context: HostContext): Capability<TestRestoreRequest, TestRestoreResult> => ({
  async rehearse({ component, id, location }) {
    const cluster = testClusterOf(context, component, location);
    const backup = await demandBackup(cluster, location, id);
    const room = await demandSpace(cluster, cluster.dataDirectory, backup.databaseBytes);
    return {
      summary: `could be restored on ${context.host}: ${room}`,
      id,
      location,
      bytes: backup.databaseBytes,
      seconds: 0,
      doubts: [],
    };
  },
  execute: (request) => {
    const cluster = testClusterOf(context, request.component, request.location);
    return inTurn(`test restore ${cluster.dataDirectory}`, () => test(cluster, request));
  },
});

async function test(
  cluster: Cluster,
  { component: database, id, location, run }: TestRestoreRequest,
): Promise<TestRestoreResult> {
  const incident = copyOf(run);
  const scratch = scratchOf(cluster, incident);
  const began = Date.now();
  await clearOthers(cluster, incident);
  const backup = await demandBackup(cluster, location, id);
  const { target, timeline } = await reach(cluster, backup);
  const candidate = {
    ...{ label: id, location, timeline, databaseBytes: backup.databaseBytes },
    takenAt: new Date(backup.stoppedAt * 1000).toISOString(),
  };
  // Archiving goes on: what this run began with, an attempt after a crash goes on with.
  const mark = await readMark(scratch);
  if (mark?.tested) return finish(cluster, scratch, backup, mark.tested);
  const asked = mark && mark.stage !== 'going' ? mark.target : target;
  try {
    const restored = await restoreCopy(cluster, { database, incident, candidate, target: asked });
    const seconds = restored.seconds || Math.round((Date.now() - began) / 100) / 10;
    const declaredAt = restored.recoveredTo ?? candidate.takenAt;
    const verified = await verifyCopy(cluster, { database, incident, target: asked, declaredAt });
    const result = {
      summary: `${restored.summary}, on ${cluster.context.host} in ${seconds} s; ${verified.summary}`,
      ...{ id, location, bytes: backup.databaseBytes, seconds, doubts: verified.doubts },
    };
    const tested = { at: new Date().toISOString(), result };
    await markTested(scratch, tested);
    return await finish(cluster, scratch, backup, tested);
  } catch (error) {
    // Only what says something of the backup itself: then the copy is of no more use, and the next recovery passes it
    // over.
    if (isFailure(error, 'BackupDamaged') || isFailure(error, 'VerificationFailed')) {
      await note(cluster, backup, { damaged: { at: new Date().toISOString(), why: error.message } }).catch(
        () => undefined,
      );
      await discardScratch(cluster, scratch);
    }
    throw error;
  }
}

/**
 * Notes what was found before the copy goes: an attempt after a crash in between has the mark, and does what is
 * missing.
 */
async function finish(
  cluster: Cluster,
  scratch: Scratch,
  backup: BackupSet,
  { at, result }: NonNullable<Mark['tested']>,
): Promise<TestRestoreResult> {
  await checkpoint('before the note of a test restore');
  await note(cluster, backup, { restored: { at, seconds: result.seconds, host: cluster.context.host } });
  await checkpoint('after the note of a test restore');
  await discardScratch(cluster, scratch);
  return result;
}

async function demandBackup(cluster: Cluster, location: string, id: string): Promise<BackupSet> {
  const { backups, unreadable } = await repositoryInfo(cluster);
  const found = backups.find(({ label }) => label === id);
  if (found) return found;
  const why = unreadable[location];
  if (why !== undefined)
    throw failure(
      'LocationUnreachable',
      `location ${location} cannot be read from ${cluster.context.host}: ${why}`,
      'Are its credentials there?',
    );
  throw failure(
    'NoBackup',
    `there is no backup ${id} of ${cluster.database} at ${location}`,
    'See what there is: lifeboat backup list',
  );
}

/** As far as the WAL at that location reaches without a gap; else to the backup's own consistency. */
async function reach(cluster: Cluster, backup: BackupSet): Promise<{ target: string; timeline: number }> {
  const latest = await findCandidates(cluster, { kind: 'latest' }, cluster.dataDirectory, { heedRecords: false });
  const found = latest.candidates.find(({ label }) => label === backup.label);
  progress({ what: `restoring ${backup.label} from ${backup.location}` });
  return found
    ? { target: 'latest', timeline: found.timeline }
    : { target: backup.label, timeline: timelineOf(backup.walStart) };
}

/**
 * Copies of other runs: their test ended, or was given up. Tests of one database on one host come one after the other.
 */
async function clearOthers(cluster: Cluster, mine: string): Promise<void> {
  const parent = dirname(cluster.dataDirectory);
  const start = `${basename(cluster.dataDirectory)}.restored-`;
  const names = (await readdir(parent).catch(() => [])).filter(
    (name) => name.startsWith(`${start}${prefix}`) && name.endsWith('.json'),
  );
  for (const name of names) {
    const incident = name.slice(start.length, -'.json'.length);
    const scratch = scratchOf(cluster, incident);
    const mark = await readMark(scratch);
    if (incident === mine || mark?.incident !== incident) continue;
    progress({ what: `removing what an earlier test left at ${join(parent, name)}` });
    await discardScratch(cluster, scratch);
  }
}
