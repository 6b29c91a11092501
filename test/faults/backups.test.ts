import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import type { HostActivities } from '../../activities/host.js';
import { createLab, type Lab } from '../../lab/lab.js';
import { makeDirectory } from '../../lab/os-user.js';
import type { BackupListing, BackupRecord } from '../../vocabulary/backup.js';
import type {
  BackupResult,
  CleanUpResult,
  RestoreResult,
  TestRestoreResult,
  VerifyResult,
} from '../../vocabulary/backup-work.js';
import { endLab, protect, ran } from '../helpers/incident.js';
import { pointsIn, walk } from '../helpers/killed.js';
import { noAgents } from './disaster.js';
import { renamed, untilVerified, whole } from './points.js';
import { chosen, seedInWords } from './seed.js';
import { expectDeaths, expectVisited, startWalk } from './walk.js';

/**
 * What a restore beside goes through the walk of an incident covers; and programs that only read can be killed without
 * any trace.
 */
const elsewhere = [
  ...[...untilVerified.restoreBeside, ...untilVerified.verifyRestored]
    .filter((point) => !/recovered|pgbackrest/.test(point))
    .map((point) => `testRestore: ${point}`),
  ...['before', 'after'].map((when) => `testRestore: ${when} pgbackrest main-pgbackrest-restore`),
  ...['takeBackup', 'verifyBackups'].flatMap((activity) =>
    ['snapshots', 'stats', 'check', 'forget'].flatMap((command) =>
      ['before', 'during', 'after'].map((when) => `${activity}: ${when} restic restic-onsite-${command}`),
    ),
  ),
];

/** What the walk must have come to; of dumps, test/backups/logical-killed.test.ts does. */
const phases = {
  takeBackup: [
    ...whole('pgbackrest main-pgbackrest-backup'),
    'after the backup at a location',
    'before the record',
    'after the record',
  ],
  verifyBackups: ['before noting in a record', 'after noting in a record'],
  restoreBackup: [],
  testRestore: ['during pgbackrest main-pgbackrest-restore', ...renamed('the note of a test restore')],
  cleanUp: ['before removing backups', 'after removing backups'],
};

/**
 * What an agent does in the life of a backup, killed at every point of it (in processes without a worker:
 * helpers/killed.ts): each is done all the same, once, nothing half-done is listed as good, and nothing is left over.
 * Then once more by agents that die at a few of the points.
 */
describe('an agent that is killed at every point of the life of a backup', { timeout: 1_800_000 }, () => {
  let lab: Lab;
  let taken = 0;
  const step = async <Result>(activity: keyof HostActivities, input: Record<string, unknown>): Promise<Result> => {
    const asked = { activity, input: { run: `walk ${(taken += 1)}`, ...input } };
    // A dump is not killed here, but verified and cleaned up with the others.
    const ofADump =
      (input['kind'] ?? input['type']) === 'logical' &&
      ['takeBackup', 'restoreBackup', 'testRestore'].includes(activity);
    return (await walk(lab, asked, 'backups', { without: elsewhere, ...(ofADump ? { only: [] } : {}) }))
      .result as Result;
  };
  const json = async <T>(...args: string[]): Promise<T> => JSON.parse(await ran(lab, [...args, '--json'])) as T;
  const list = async (): Promise<BackupRecord[]> => (await json<BackupListing>('backup', 'list')).backups;
  const orders = async (database?: string) =>
    (await lab.primary.sql('SELECT count(*)::int AS n FROM orders', [], database))[0];
  const running = (): string[] => {
    const folder = join(lab.directory, 'state', lab.system, 'db1', 'running');
    return existsSync(folder) ? readdirSync(folder) : [];
  };

  beforeAll(async () => {
    lab = await createLab({
      fast: true,
      rows: 2000,
      service: false,
      locations: 2,
      plan: (plan) => {
        const { main } = plan.databases as { main: (typeof plan.databases)[string] };
        main.backups.logical = { locations: ['onsite', 'offsite'], keep: { last: 2 } };
        main.backups.verification = { host: 'db1' };
        plan.files = { uploads: { host: 'db1', paths: ['/replaced'], locations: ['onsite'], keep: { last: 2 } } };
      },
    });
    const uploads = join(lab.directory, 'uploads');
    mkdirSync(uploads);
    writeFileSync(join(uploads, 'a file'), 'its contents');
    lab.plan.files!['uploads']!.paths = [uploads];
    writeFileSync(lab.planPath, stringify(lab.plan));
    await protect(lab, ['backup', 'create', '--logical'], ['backup', 'create', '--files', 'uploads']);
  }, 900_000);
  afterAll(() => endLab(lab));

  test('a backup of each kind is taken once at each location', async () => {
    const before = await list();
    const taken: BackupResult[] = [];
    for (const [type, component] of [
      ['full', 'main'],
      ['logical', 'main'],
      ['files', 'uploads'],
    ])
      taken.push(await step<BackupResult>('takeBackup', { type, component }));
    const after = await list();
    const known = new Set(before.map(({ id, location }) => `${id} ${location}`));
    const added = after.filter(({ id, location }) => !known.has(`${id} ${location}`));
    for (const { component, type, locations, failed } of taken) {
      expect(failed, `${type} backup of ${component}`).toEqual([]);
      // Each location of a physical one has it under a label of its own.
      expect(
        added
          .filter((one) => one.type === type)
          .map(({ location }) => location)
          .sort(),
        `the ${type} backup of ${component} is listed once at each location`,
      ).toEqual([...locations].sort());
    }
    expect(added).toHaveLength(5);
    expect(running()).toEqual([]);
  });

  test('every backup is verified', async () => {
    for (const [kind, component] of [
      ['physical', 'main'],
      ['logical', 'main'],
      ['files', 'uploads'],
    ]) {
      const { damaged, failed } = await step<VerifyResult>('verifyBackups', { kind, component });
      expect([damaged, failed], `${kind} backups`).toEqual([[], []]);
    }
    for (const { id, verified } of await list()) expect(verified, `${id} is verified`).toBeDefined();
    expect(running()).toEqual([]);
  });

  test('the newest are restored to scratch, and nothing of it is left', async () => {
    const all = await list();
    for (const kind of ['physical', 'logical'] as const) {
      const { id, location } = all.find((one) => one.kind === kind)!;
      const { doubts } = await step<TestRestoreResult>('testRestore', { kind, component: 'main', id, location });
      expect(doubts).toEqual([]);
    }
    const restored = (await list()).filter((one) => one.restored);
    expect(new Set(restored.map(({ kind }) => kind))).toEqual(new Set(['physical', 'logical']));
    expect(readdirSync(join(lab.primary.dataDirectory, '..')).filter((name) => /restored|scratch/.test(name))).toEqual(
      [],
    );
    expect(running()).toEqual([]);
  });

  test('a restore into a new database, and one in the place of the old, which is renamed aside', async () => {
    const all = await orders();
    const { id } = (await list()).find(({ kind }) => kind === 'logical')!;
    const restore = (more: object) =>
      step<RestoreResult>('restoreBackup', { kind: 'logical', component: 'main', id, ...more });
    await restore({ into: 'a copy' });
    expect(await orders('a copy')).toEqual(all);
    await lab.primary.sql('DELETE FROM payments');
    await lab.primary.sql('DELETE FROM orders');
    const { aside } = await restore({ dropExisting: true });
    expect([await orders(), await orders(aside)]).toEqual([all, { n: 0 }]);
    const names = await lab.primary.sql<{ name: string }>(
      'SELECT datname AS name FROM pg_database WHERE NOT datistemplate ORDER BY 1',
      [],
      'postgres',
    );
    expect(
      names.map(({ name }) => name),
      'no temporary database is left',
    ).toEqual(['a copy', 'postgres', 'shop', aside]);
    const into = makeDirectory(join(lab.directory, 'restored-files'));
    const files = (await list()).find(({ kind }) => kind === 'files')!;
    await step('restoreBackup', { kind: 'files', component: 'uploads', id: files.id, into });
    const found = readdirSync(into, { recursive: true, encoding: 'utf8' }).find((name) => name.endsWith('a file'));
    expect(readFileSync(join(into, found!), 'utf8')).toBe('its contents');
    expect(running()).toEqual([]);
  });

  test('a clean-up removes what no rule keeps, whole', async () => {
    await step('takeBackup', { type: 'logical', component: 'main' });
    await step('cleanUp', { kind: 'logical', component: 'main' });
    const dry = await json<CleanUpResult[]>('backup', 'cleanup', '--dry-run');
    expect(dry.flatMap(({ removed }) => removed)).toEqual([]);
    const kept = (await list()).filter(({ kind }) => kind === 'logical');
    expect(kept.length, 'two at each location').toBe(4);
    const below = join(lab.locations['onsite']!, 'lifeboat', lab.system, 'logical', 'main');
    const ids = new Set(kept.map(({ id }) => id));
    for (const name of readdirSync(below))
      expect(ids, `${name} belongs to a backup that is listed`).toContain(name.replace('.meta.json', ''));
    expectVisited({ visited: () => pointsIn(join(lab.directory, 'backups.walk')) }, phases);
  });

  test('agents that die at a few points: Temporal tries again, no lock is left, and the next backup is taken', async () => {
    console.log(seedInWords());
    await noAgents(lab);
    const points = chosen(5, {
      takeBackup: ['before dumping', 'after dumping', 'before the record', 'after the record'],
      verifyBackups: phases.verifyBackups,
      restoreBackup: ['before fetching', 'after fetching', 'before creating a database', 'after creating a database'],
      cleanUp: [],
    });
    const dying = await startWalk(lab, points);
    try {
      const { id, failed } = await json<BackupResult>('backup', 'create', '--logical');
      expect(failed).toEqual([]);
      for (const { damaged } of await json<VerifyResult[]>('backup', 'verify')) expect(damaged).toEqual([]);
      await ran(lab, ['backup', 'restore', id, '--database', 'main', '--into', 'another copy']);
      expect(await orders('another copy')).toEqual(await orders());
    } catch (error) {
      throw new Error(`${String(dying)}\n${(error as Error).message}`, { cause: error });
    } finally {
      for (const agent of dying.agents) await agent.stop();
    }
    expectDeaths(dying, points);
    await lab.startAgents();
    for (const args of [['--full'], ['--logical'], ['--files', 'uploads']])
      expect((await json<BackupResult>('backup', 'create', ...args)).failed).toEqual([]);
    expect(running(), 'programs that are said to run').toEqual([]);
  });
});
