import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { expect } from 'vitest';
import { type Cluster, caughtUp } from '../../lab/cluster.js';
import type { Lab } from '../../lab/lab.js';
import { until } from '../../lab/wait.js';
import { incidentWorkflowId } from '../../vocabulary/names.js';
import type { IncidentState } from '../../vocabulary/incident.js';
import {
  contents,
  expectInService,
  expectNothingBeside,
  expectQuarantined,
  expectReports,
  orderIds,
} from '../helpers/end-state.js';
import { lifeboatOf, stateOf, stepNames, story } from '../helpers/incident.js';
import type { Before } from './disaster.js';

/** What an incident says of itself that its end is compared with. `run`: by which its backup is known. */
export type Left = Pick<IncidentState, 'id' | 'quarantine' | 'evidence'> & { run: string };

/**
 * The one state in which every run of database-corruption ends, whoever was killed on the way: recovered, with each
 * effect there once, and nothing else.
 */
export async function expectRecovered(lab: Lab, before: Before, target: 'latest' | 'time' = 'latest'): Promise<void> {
  try {
    await before.writer.stop();
    const state = await expectPlainSuccess(lab, before);
    // It recovered in the run that held the lock; its tasks are waited for in another one.
    const { runId } = await (
      await lifeboatOf(lab)
    ).temporal.workflow
      .getHandle(incidentWorkflowId(lab.system))
      .describe();
    await expectEndState(lab, before, { ...state, run: runId }, target);
  } catch (error) {
    throw new Error(`${(error as Error).message}\n${await story(lab)}`, { cause: error });
  }
}

/** The same, of databases, directories and processes alone: whoever did the steps. */
export async function expectEndState(
  lab: Lab,
  before: Before,
  left: Left,
  target: 'latest' | 'time' = 'latest',
): Promise<void> {
  await before.writer.stop();
  await expectInService(lab, before.recovery === 'restore' ? before.timeline + 1 : before.timeline);
  await expectRows(lab, before, target);
  await expectOneBackup(lab, left.run);
  expectOnlyThese(lab, left, before);
  await expectNothingBeside(lab);
  await expectArchived(lab.primary);
  expectEvidence(left);
}

/** Every step is done, at its first try, and nobody was asked for anything but the approval. */
async function expectPlainSuccess(lab: Lab, before: Before): Promise<IncidentState> {
  const restored = before.recovery === 'restore';
  // The report is written once more after the incident is recovered.
  await expectReports(lab, await stateOf(lab));
  const state = await stateOf(lab);
  expect(state.phase).toBe('recovered');
  expect(state.warnings, 'warnings').toEqual([]);
  for (const step of state.steps) {
    expect(step, step.name).toMatchObject({ status: 'done', attempts: 1 });
    expect(step.problem, `the problem of ${step.name}`).toBeUndefined();
    if (step.name !== 'Approve') expect(step.decision, `what was decided about ${step.name}`).toBeUndefined();
  }
  expect(stepNames(state), 'steps').toEqual([
    ...['Check the request', 'Stop writes', 'Save evidence', 'Assess the damage'],
    ...(restored
      ? ['Choose the backup', 'Restore beside', 'Verify the restored copy', 'Approve', 'Put it in place']
      : ['Repair']),
    ...[
      'Resume the service',
      'Watch',
      'Re-protect',
      'Release',
      ...(lab.standby ? [`Rebuild standby ${lab.standby.host}`] : []),
      'Report',
    ],
  ]);
  expect((await (await lifeboatOf(lab)).incidents()).length, 'incidents').toBe(1);
  return state;
}

/** No row that was acknowledged is lost (up to the target), none is there twice, and the standby has the same. */
async function expectRows({ primary, standby }: Lab, before: Before, target: 'latest' | 'time'): Promise<void> {
  const found = await orderIds(primary);
  const acknowledged = target === 'latest' ? before.writer.written.map(({ id }) => id) : before.writtenByThen;
  const lost = acknowledged.filter((id) => !found.has(id));
  expect(lost, `rows that were committed and are lost, of ${acknowledged.length}`).toEqual([]);
  const [{ n }] = (await primary.sql<{ n: number }>('SELECT count(*)::int AS n FROM lifeboat.canary')) as [
    { n: number },
  ];
  expect(n, 'canaries').toBe(1);
  if (!standby) return;
  await caughtUp(primary, standby);
  await until('the standby has the same rows', async () => (await contents(primary)) === (await contents(standby)));
}

/** This incident took one full backup at each location. */
async function expectOneBackup(lab: Lab, run: string): Promise<void> {
  const { backups } = await (await lifeboatOf(lab)).backups.list('main');
  for (const location of Object.keys(lab.locations)) {
    const own = backups.filter((backup) => backup.location === location && backup.run === run);
    expect(
      own.map(({ type, damaged }) => ({ type, damaged })),
      `backups of this incident at ${location}`,
    ).toEqual([{ type: 'full', damaged: undefined }]);
  }
}

/**
 * Beside the data directories lies what was quarantined and nothing else, and no file of Lifeboat's is left in them.
 */
function expectOnlyThese(lab: Lab, left: Left, { recovery }: Before): void {
  const quarantine = `data.quarantine-${left.id}`;
  const expected: [Cluster | undefined, string[]][] = [
    [lab.primary, recovery === 'restore' ? [quarantine] : []],
    // A standby may have followed the new timeline by itself; then nothing of it was moved.
    [lab.standby, lab.standby && existsSync(join(lab.standby.directory, quarantine)) ? [quarantine] : []],
  ];
  for (const [cluster, kept] of expected) {
    if (!cluster) continue;
    const found = readdirSync(dirname(cluster.dataDirectory)).filter(
      (name) => name.includes(basename(cluster.dataDirectory)) || name.startsWith('.'),
    );
    expect(found.sort(), `beside the data of ${cluster.host}`).toEqual(['data', ...kept]);
    const marks = readdirSync(cluster.dataDirectory, { recursive: true, encoding: 'utf8' }).filter((name) =>
      name.includes('lifeboat'),
    );
    expect(marks, `Lifeboat's files in the data of ${cluster.host}`).toEqual([]);
    const settings = readFileSync(join(cluster.dataDirectory, 'postgresql.auto.conf'), 'utf8');
    if (cluster === lab.primary)
      expect(settings, 'settings of the copy').not.toMatch(/^\s*(archive_mode|restore_command|recovery_target)/m);
    if (kept.length > 0) expectQuarantined(lab, left, cluster);
  }
  for (const host of Object.keys(lab.plan.hosts)) expectTidy(lab, host);
}

/** Nothing that a step of this host works with outlives it; what a copy beside is started with goes with the copy. */
export function expectTidy(lab: Lab, host: string, { copy = false } = {}): void {
  const home = join(lab.directory, 'state', lab.system, host);
  const left = readdirSync(home, { recursive: true, encoding: 'utf8' }).filter(
    (name) => /\.running$|\.lifeboat-new$|^fetched-/.test(name) || (!copy && name.startsWith('scratch-hba')),
  );
  expect(left, `what is left in the state of ${host}`).toEqual([]);
}

/**
 * All that is to be archived gets there, also when the first segments of WAL are recycled (which is when PostgreSQL
 * looks at old ones again): no segment and no history waits for ever, and none is archived again and again.
 */
async function expectArchived(primary: Cluster): Promise<void> {
  await primary.sql("ALTER SYSTEM SET wal_keep_size = '0'");
  await primary.sql('SELECT pg_reload_conf()');
  for (let n = 0; n < 3; n += 1) {
    await primary.sql(`SELECT pg_create_restore_point('test ${n}')`);
    await primary.sql('SELECT pg_switch_wal()');
    await primary.sql('CHECKPOINT');
  }
  const waiting = (): string[] =>
    readdirSync(join(primary.dataDirectory, 'pg_wal', 'archive_status')).filter((name) => name.endsWith('.ready'));
  await until('everything is archived', () => waiting().length === 0).catch(() =>
    expect(waiting(), 'WAL that waits to be archived').toEqual([]),
  );
}

function expectEvidence({ evidence }: Left): void {
  expect(evidence.length).toBeGreaterThan(0);
  for (const { file, sha256 } of evidence)
    expect(createHash('sha256').update(readFileSync(file)).digest('hex'), `digest of ${file}`).toBe(sha256);
}
