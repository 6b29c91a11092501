import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createLab, type Lab } from '../../lab/lab.js';
import { makeDirectory } from '../../lab/os-user.js';
import type { BackupListing, BackupRecord, BackupResult, CleanUpResult, VerifyResult } from '../../workflows/messages.js';
import { endLab, protect, ran } from '../helpers/incident.js';
import { untilVerified } from './points.js';
import { expectVisited, startWalk, type Walk } from './walk.js';

/**
 * What a restore beside goes through the walk of an incident covers, the programs of a dump test/backups/logical-killed.test.ts; and those that only
 * read can be killed without any trace.
 */
const elsewhere = [
  ...['initdb main-test-initdb', 'pg_ctl main-test-start'].flatMap((program) =>
    ['before', 'during', 'after'].map((when) => `testRestore: ${when} ${program}`),
  ),
  ...['dumping the', 'reading back', 'copying from'].map((what) => `takeBackup: midway, ${what}`),
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

/**
 * Agents that are killed at every point of a backup, a verification, a test, a restore and a clean-up: each is done all the same, once, nothing
 * half-done is listed as good, and nothing is left over.
 */
describe('agents that are killed at every point of the life of a backup', { timeout: 900_000 }, () => {
  let lab: Lab;
  let walk: Walk | undefined;
  const json = async <T>(...args: string[]): Promise<T> => {
    try {
      return JSON.parse(await ran(lab, [...args, '--json'])) as T;
    } catch (error) {
      throw new Error(`${String(walk)}\n${(error as Error).message}`, { cause: error });
    }
  };
  const list = async (): Promise<BackupRecord[]> => (await json<BackupListing>('backup', 'list')).backups;
  const orders = async (database?: string) => (await lab.primary.sql('SELECT count(*)::int AS n FROM orders', [], database))[0];

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
    const { stringify } = await import('yaml');
    writeFileSync(lab.planPath, stringify(lab.plan));
    await protect(lab, ['backup', 'create', '--logical'], ['backup', 'create', '--files', 'uploads']);
    for (const agent of Object.values(lab.agents)) await agent.kill9();
    walk = await startWalk(lab, elsewhere);
  }, 900_000);
  afterAll(async () => {
    try {
      for (const agent of walk?.agents ?? []) await agent.stop();
    } finally {
      await endLab(lab);
    }
  });

  test('a backup of each kind is taken once at each location', async () => {
    const before = await list();
    const taken: BackupResult[] = [];
    for (const args of [['--full'], ['--logical'], ['--files', 'uploads']])
      taken.push(await json<BackupResult>('backup', 'create', ...args));
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
  });

  test('every backup is verified', async () => {
    for (const { kind, damaged, failed } of await json<(VerifyResult & { kind: string })[]>('backup', 'verify'))
      expect([damaged, failed], `${kind} backups`).toEqual([[], []]);
    for (const { id, verified } of await list()) expect(verified, `${id} is verified`).toBeDefined();
  });

  test('the newest are restored to scratch, and nothing of it is left', async () => {
    await ran(lab, ['backup', 'test']);
    const restored = (await list()).filter((one) => one.restored);
    expect(new Set(restored.map(({ kind }) => kind))).toEqual(new Set(['physical', 'logical']));
    expect(readdirSync(join(lab.primary.dataDirectory, '..')).filter((name) => /restored|scratch/.test(name))).toEqual([]);
  });

  test('a restore into a new database, and one in the place of the old, which is renamed aside', async () => {
    const all = await orders();
    const { id } = (await list()).find(({ kind }) => kind === 'logical')!;
    await ran(lab, ['backup', 'restore', id, '--database', 'main', '--into', 'a copy']);
    expect(await orders('a copy')).toEqual(all);
    await lab.primary.sql('DELETE FROM payments');
    await lab.primary.sql('DELETE FROM orders');
    const { aside } = await json<{ aside: string }>('backup', 'restore', id, '--database', 'main', '--drop-existing', '--yes');
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
    await ran(lab, ['backup', 'restore', files.id, '--files', 'uploads', '--into', into]);
    const found = readdirSync(into, { recursive: true, encoding: 'utf8' }).find((name) => name.endsWith('a file'));
    expect(readFileSync(join(into, found!), 'utf8')).toBe('its contents');
  });

  test('a clean-up removes what no rule keeps, whole', async () => {
    await ran(lab, ['backup', 'create', '--logical']);
    const dry = await json<CleanUpResult[]>('backup', 'cleanup', '--dry-run');
    expect(dry.flatMap(({ removed }) => removed)).toEqual([]);
    const kept = (await list()).filter(({ kind }) => kind === 'logical');
    expect(kept.length, 'two at each location').toBe(4);
    const below = join(lab.locations['onsite']!, 'lifeboat', lab.system, 'logical', 'main');
    const ids = new Set(kept.map(({ id }) => id));
    for (const name of readdirSync(below))
      expect(ids, `${name} belongs to a backup that is listed`).toContain(name.replace('.meta.json', ''));
  });

  test('the walk came to every phase, no lock is left, and the next backup is taken by agents that live', async () => {
    for (const agent of walk!.agents) await agent.stop();
    await lab.startAgents();
    for (const args of [['--full'], ['--logical'], ['--files', 'uploads']])
      expect((await json<BackupResult>('backup', 'create', ...args)).failed).toEqual([]);
    expectVisited(walk!, {
      takeBackup: ['before dumping', 'after dumping', 'before the record', 'after the record'],
      verifyBackups: ['before noting in a record', 'after noting in a record'],
      restoreBackup: [
        'before fetching',
        'after fetching',
        'before creating a database',
        'after creating a database',
        'before the databases change places',
        'after the databases changed places',
      ],
      testRestore: ['before starting the scratch server', 'after starting the scratch server'],
      cleanUp: ['before removing backups', 'after removing backups'],
    });
    const running = join(lab.directory, 'state', lab.system, 'db1', 'running');
    expect(existsSync(running) ? readdirSync(running) : [], 'programs that are said to run').toEqual([]);
  });
});
