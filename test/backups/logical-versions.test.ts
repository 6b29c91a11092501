import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { logical } from '../../activities/backups/logical/provider.js';
import { programsFor } from '../../activities/postgres/programs.js';
import { newerPostgres, tool } from '../../lab/tools.js';
import type { BackupRecord } from '../../vocabulary/backup.js';
import { createDumps, type Dumps, namesOf, tamper } from '../helpers/dumps.js';

/**
 * PostgreSQL 17's client package beside a server 15. What newer programs write (`SET transaction_timeout`) an older
 * server refuses.
 */

const newer = newerPostgres();
const own = parseInt(/ (\d+)/.exec(execFileSync(tool('postgres'), ['--version']).toString())![1]!);
const absent =
  newer === undefined
    ? 'PostgreSQL 17 is not in the cache folder: npm run setup'
    : own >= 17
      ? `the server is ${own} itself`
      : '';

let dumps: Dumps;
let client: string;
beforeAll(async () => {
  if (absent) return;
  dumps = await createDumps((plan) => {
    plan.locations['plain'] = { directory: join(Object.values(plan.locations)[0]!.directory!, '..', 'plain') };
    mkdirSync(plan.locations['plain'].directory!);
  });
  // What the client package has, where the database's owner can run it. First on PATH, as on a host where somebody
  // wants the newest.
  client = join(dumps.lab.directory, 'postgresql-client-17', 'bin');
  mkdirSync(client, { recursive: true });
  for (const program of ['pg_dump', 'pg_dumpall', 'pg_restore', 'psql'])
    copyFileSync(join(newer!, program), join(client, program));
  cpSync(join(newer!, '..', 'lib'), join(client, '..', 'lib'), {
    recursive: true,
    filter: (path) => !path.endsWith('.a'),
  });
  process.env['PATH'] = `${client}:${process.env['PATH']}`;
}, 900_000);
afterAll(() => (absent ? undefined : dumps.lab.stop()));
beforeEach(({ skip }) => void (absent && skip(absent)));

const orders = async (database: string) =>
  (await dumps.lab.primary.sql<{ n: number }>('select count(*)::int as n from orders', [], database))[0]!.n;
const recordOf = async (id: string, location: string): Promise<BackupRecord> =>
  (await logical.list(dumps.context, 'main')).backups.find(
    (record) => record.id === id && record.location === location,
  )!;

/** What 17's pg_dump writes of the server, as Lifeboat itself did once. */
function dumpedByNewer(...args: string[]): Buffer {
  const { primary } = dumps.lab;
  return execFileSync(
    join(client, 'pg_dump'),
    ['-h', primary.socketDirectory, '-p', String(primary.port), '-U', 'postgres', ...args, 'shop'],
    {
      env: { ...process.env, PGPASSWORD: primary.passwords.superuser },
      maxBuffer: 1e9,
    },
  );
}

test('a dump is taken and restored by the programs of the server’s own version, although newer ones are on the host', async () => {
  const { id } = await dumps.take();
  const record = await recordOf(id, 'onsite');
  expect(parseInt(record.tools['pg_dump']!)).toBe(own);
  expect(record.verified).toBeDefined();
  await dumps.restore({ id, into: 'own' });
  expect(await orders('own')).toBe(1000);
});

test('programs: the version asked for, else the nearest newer one, else what to install is said', async () => {
  expect(parseInt((await programsFor(own, ['pg_dump'], client)).version), 'whatever the plan prefers').toBe(own);
  expect((await programsFor(own + 1, ['pg_dump'])).directory).toBe(client);
  await expect(programsFor(own + 1, ['pg_dump', 'initdb'])).rejects.toMatchObject({ type: 'ToolMissing' });
  await expect(programsFor(99, ['pg_restore'])).rejects.toMatchObject({
    type: 'ToolMissing',
    details: [expect.objectContaining({ hint: expect.stringContaining('postgresql-client-99') })],
  });
});

describe.each([
  ['custom format', ['-Fc']],
  ['plain SQL', []],
])('a file that a newer pg_dump wrote in %s', (what, args) => {
  test('is restored, and what was left out is said', async () => {
    const file = join(dumps.lab.directory, `newer ${what}`);
    writeFileSync(file, dumpedByNewer(...args));
    const into = `file ${what}`;
    const { summary } = await dumps.restore({ file, into });
    expect(summary).toMatch(/transaction_timeout/);
    expect(await orders(into)).toBe(1000);
  });
});

describe('a dump at a location that a newer pg_dump took', () => {
  let id: string;
  beforeAll(async () => {
    if (absent) return;
    ({ id } = await dumps.take());
    const data = dumpedByNewer('-Fc', '-Z0');
    await asNewer(id, data);
  });

  /** The record and the files that the agent of today's release would have left with 17's pg_dump. */
  async function asNewer(id: string, data: Buffer): Promise<void> {
    const packed = zstdCompressSync(data);
    await tamper(dumps.context, 'plain', namesOf(dumps.context, id).dump.replace('.age', ''), () => packed);
    await tamper(dumps.context, 'plain', namesOf(dumps.context, id).record, (text) => {
      const record = JSON.parse(text.toString('utf8')) as BackupRecord;
      record.tools['pg_dump'] = '17.10';
      record.made!.largest = 0.9;
      const file = record.files.find(({ name }) => name.endsWith('database.dump.zst'))!;
      file.bytes = packed.length;
      file.sha256 = createHash('sha256').update(packed).digest('hex');
      return Buffer.from(JSON.stringify(record));
    });
  }

  test('restores into the older server', async () => {
    const { summary } = await dumps.restore({ id, location: 'plain', into: 'older' });
    expect(summary).toMatch(/transaction_timeout/);
    expect(await orders('older')).toBe(1000);
  });

  test('and to a scratch server of that version', async () => {
    const tested = await logical
      .testRestore(dumps.context)
      .execute({ component: 'main', id, location: 'plain', run: 'versions' });
    expect(tested.doubts, tested.summary).toEqual([]);
  });

  test('where no program reads its format, what to install is said', async () => {
    const path = process.env['PATH'];
    process.env['PATH'] = path!.replace(`${client}:`, '');
    try {
      const missing = {
        type: 'ToolMissing',
        details: [expect.objectContaining({ hint: expect.stringContaining('postgresql-client-17') })],
      };
      await expect(dumps.restore({ id, location: 'plain', into: 'never' })).rejects.toMatchObject(missing);
      const { failed } = await logical.verify(dumps.context).execute({ component: 'main', id, location: 'plain' });
      expect(failed.join()).toMatch(/17.*postgresql-client-17/);
      const file = join(dumps.lab.directory, 'newer custom format');
      await expect(dumps.restore({ file, into: 'never' })).rejects.toMatchObject(missing);
    } finally {
      process.env['PATH'] = path;
    }
  });
});
