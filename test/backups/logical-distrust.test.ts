import { createHash } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { logical } from '../../activities/backups/logical/provider.js';
import type { HostContext } from '../../activities/context.js';
import type { BackupRecord } from '../../vocabulary/backup.js';
import type { TestRestoreResult } from '../../vocabulary/backup-work.js';
import { createDumps, type Dumps, namesOf, tamper } from '../helpers/dumps.js';

/** What lies at a location is not believed: whoever can write there can write anything. */

let dumps: Dumps;
beforeAll(async () => {
  dumps = await createDumps();
  await dumps.take();
  await dumps.take();
}, 900_000);
afterAll(() => dumps.lab.stop());
const sql = (text: string) => dumps.lab.primary.sql<Record<string, unknown>>(text, [], 'postgres');
afterEach(() => sql('drop database if exists copy'));

const change = (id: string, location: string, edit: (record: BackupRecord) => unknown) =>
  tamper(dumps.context, location, namesOf(dumps.context, id).record, (data) =>
    Buffer.from(JSON.stringify(edit(JSON.parse(data.toString()) as BackupRecord))),
  );
const verify = (id: string, context: HostContext = dumps.context) =>
  logical.verify(context).execute({ component: 'main', id });

describe('a record', () => {
  const others: [string, (record: BackupRecord, other: BackupRecord) => unknown, RegExp][] = [
    ['that is null', () => null, /no record of a backup/],
    ['without a timestamp', ({ timestamp: _, ...rest }) => rest, /timestamp is not what a record has/],
    ['without files', ({ files: _, ...rest }) => rest, /files is not what a record has/],
    ['that names no dump', (record) => ({ ...record, files: [] }), /names no dump/],
    [
      'that names files of another backup',
      (record, { files }) => ({ ...record, files }),
      /not of this backup: it names/,
    ],
    [
      'that leads out of its folder',
      (record) => ({
        ...record,
        files: record.files.map((file) => ({ ...file, name: file.name.replace('/database', '/../../x/database') })),
      }),
      /not of this backup: it names/,
    ],
  ];
  test.each(others)('%s is damaged, and hides no other one', async (_name, edit, why) => {
    const { backups } = await logical.list(dumps.context, 'main');
    const [taken, other] = [backups[0]!, backups.at(-1)!];
    let was: Buffer = Buffer.alloc(0);
    await tamper(dumps.context, 'onsite', namesOf(dumps.context, taken.id).record, (data) => (was = data));
    await change(taken.id, 'onsite', (record) => edit(record, other));
    const damaged = [{ location: 'onsite', why: expect.stringMatching(why) as string }];
    expect(await verify(taken.id)).toMatchObject({ sound: 1, failed: [], damaged });
    const after = await logical.list(dumps.context, 'main');
    expect(after.unreadable).toEqual({});
    expect(after.backups).toHaveLength(backups.length);
    if (why.test('names no dump'))
      expect((await dumps.restore({ id: taken.id, into: 'copy' })).into, 'from another location').toBe('copy');
    await tamper(dumps.context, 'onsite', namesOf(dumps.context, taken.id).record, () => was);
  });

  test('does not say what is run as the superuser', async () => {
    const { id } = await dumps.take();
    const settings = [
      { setting: 'search_path=public; CREATE ROLE intruder' },
      { setting: 'search_path="$user", "a;b", public' },
    ];
    const grants = [
      {
        grantee: '',
        privilege: 'CONNECT ON DATABASE shop TO PUBLIC; CREATE ROLE intruder; GRANT CONNECT',
        grantable: false,
      },
    ];
    for (const location of ['onsite', 'offsite'])
      await change(id, location, (record) => ({ ...record, made: { ...record.made, settings, grants } }));
    await dumps.restore({ id, into: 'copy' });
    expect(await sql(`select 1 from pg_roles where rolname = 'intruder'`)).toEqual([]);
    expect(
      await sql(
        `select unnest(setconfig) as is from pg_db_role_setting s join pg_database d on d.oid = setdatabase where datname = 'copy'`,
      ),
    ).toEqual([{ is: 'search_path="$user", "a;b", public' }]);
  });
});

describe('a dump that cannot be decrypted', () => {
  test('since its header was changed is damaged, whichever byte it is; the restore takes another location', async () => {
    const { id } = await dumps.take();
    const { dump } = namesOf(dumps.context, id);
    const flip = (at: number) => tamper(dumps.context, 'onsite', dump, (data) => (data.set([data[at]! ^ 1], at), data));
    for (const at of [30, 60, 90]) {
      await flip(at);
      expect(await verify(id), `byte ${at}`).toMatchObject({
        sound: 1,
        failed: [],
        damaged: [{ location: 'onsite', file: dump }],
      });
      if (at === 90) expect((await dumps.restore({ id, into: 'copy' })).into).toBe('copy');
      await flip(at);
    }
  });

  test('since the plan has another passphrase by now is not damaged, says so, and the restore takes another location', async () => {
    const { id } = await dumps.take();
    const context = structuredClone(dumps.context);
    process.env['PASSPHRASE_OF_TODAY'] = createHash('sha256').update(id).digest('hex');
    context.plan.locations['onsite']!.encryption = 'env:PASSPHRASE_OF_TODAY';
    const { damaged, failed } = await verify(id, context);
    expect([damaged, failed]).toEqual([
      [],
      [expect.stringMatching(/^onsite: .*database\.dump\.zst\.age at onsite cannot be read: .*another passphrase/)],
    ]);
    const { summary } = await dumps.restore({ id, into: 'copy' }, context);
    expect(summary).toMatch(/NOT from onsite: .*another passphrase/);
    await expect(dumps.restore({ id, into: 'copy2', location: 'onsite' }, context)).rejects.toMatchObject({
      type: 'BadRequest',
    });
    expect(await sql(`select 1 from pg_database where datname ~ '^(copy2|lifeboat_restore_)'`)).toEqual([]);
  });
});

test('what is set on a database comes back with it, and does not get in the way of its test restore', async () => {
  await sql('alter database shop connection limit 42');
  await sql('alter database shop set default_transaction_read_only = on');
  try {
    const { id } = await dumps.take();
    const request = { component: 'main', id, location: 'onsite', run: 'settings' };
    const tested: TestRestoreResult = await logical.testRestore(dumps.context).execute(request);
    expect(tested.doubts).toEqual([]);
    await dumps.restore({ id, into: 'copy' });
    expect(await sql(`select datconnlimit as most from pg_database where datname = 'copy'`)).toEqual([{ most: 42 }]);
  } finally {
    await sql('alter database shop reset all');
    await sql('alter database shop connection limit -1');
  }
});

test("a dump that is not encrypted where the plan encrypts may be anybody's: it is not restored from there, and is from elsewhere", async () => {
  const bare = structuredClone(dumps.context);
  delete bare.plan.locations['onsite']!.encryption;
  const { id } = await dumps.take('main', 'bare', bare);
  await expect(dumps.restore({ id, location: 'onsite', into: 'copy' })).rejects.toMatchObject({
    type: 'BadRequest',
    message: expect.stringMatching(/is not encrypted, and the plan encrypts what lies there/) as string,
    details: [{ hint: expect.stringMatching(/restore --file FILE/) as string }],
  });
  const tested = logical.testRestore(dumps.context).execute({ component: 'main', id, location: 'onsite', run: 'bare' });
  await expect(tested).rejects.toThrow(/is not encrypted/);
  expect(await sql(`select 1 from pg_database where datname = 'copy'`)).toEqual([]);
  expect((await dumps.restore({ id, into: 'copy' })).summary).toMatch(/NOT from onsite: .*is not encrypted/);
  // It is no damage: who knows where it comes from can fetch it.
  expect((await verify(id)).damaged).toEqual([]);
});
