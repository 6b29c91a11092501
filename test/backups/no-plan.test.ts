import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { capture, type CliResult } from '../../lab/capture.js';
import { createLab, type Lab } from '../../lab/lab.js';
import { cliEntry } from '../../lab/root.js';
import type { BackupRecord } from '../../vocabulary/backup.js';
import { endLab } from '../helpers/incident.js';

/**
 * DATABASE_URL and BACKUP_DIR alone give a working backup, list, restore and cleanup on one machine (FL-18 to FL-20).
 */
describe('backups without a plan file', { timeout: 900_000 }, () => {
  let lab: Lab;
  let home: string;
  const cli = (args: string[], more: Record<string, string> = {}): Promise<CliResult> => {
    const { LIFEBOAT_PLAN: _plan, TEMPORAL_ADDRESS: _address, ...env } = lab.env;
    const { passwords, port, database } = lab.primary;
    const url = `postgres://postgres:${passwords.superuser}@127.0.0.1:${port}/${database}`;
    return capture(process.execPath, [cliEntry, ...args], home, {
      ...env,
      DATABASE_URL: url,
      BACKUP_DIR: join(home, 'backups'),
      ...more,
    });
  };
  const ok = async (args: string[], more: Record<string, string> = {}): Promise<string> => {
    const { code, stdout, stderr } = await cli(args, more);
    expect(code, `lifeboat ${args.join(' ')}:\n${stdout}${stderr}`).toBe(0);
    return stdout;
  };
  const list = async (): Promise<BackupRecord[]> =>
    (JSON.parse(await ok(['backup', 'list', '--json'])) as { backups: BackupRecord[] }).backups;
  const orders = async (database?: string) =>
    (await lab.primary.sql('SELECT count(*)::int AS n, sum(id)::text AS s FROM orders', [], database))[0];

  beforeAll(async () => {
    lab = await createLab({ service: false, fast: true, temporal: 'none' });
    home = join(lab.directory, 'home');
    mkdirSync(home);
  }, 900_000);
  afterAll(() => endLab(lab));

  test('create takes a dump with its .meta.json beside it, and list shows its age and that it was verified', async () => {
    expect(await ok(['backup', 'create'])).toMatch(
      /^dump \S+ of shop at backups; listed, not loaded: its server is reached by a connection string, in [\d.]+ s\n$/,
    );
    expect(await ok(['backup', 'list'])).toMatch(
      /^\S+ {2}logical {2}shop {2}backups +\S+ kB +\S+ old {2}verified \S+ ago\n$/,
    );
    const [backup] = await list();
    const beside = join(home, 'backups', 'lifeboat', 'local', 'logical', 'shop');
    const meta = JSON.parse(readFileSync(join(beside, `${backup!.id}.meta.json`), 'utf8')) as BackupRecord;
    expect(meta).toMatchObject({
      type: 'logical',
      database: 'shop',
      compression: 'zstd',
      size: backup!.size,
      timestamp: backup!.timestamp,
    });
    expect(readdirSync(join(beside, backup!.id)).sort()).toEqual(['database.dump.zst', 'globals.sql.zst']);
  });

  test('restore: into a new database, in the place of the old one, which is renamed aside, and from a local file', async () => {
    const before = await orders();
    const { id } = (await list())[0]!;
    await ok(['backup', 'restore', id, '--into', 'copy of "it"']);
    expect(await orders('copy of "it"')).toEqual(before);
    await lab.primary.sql('DELETE FROM payments');
    await lab.primary.sql('DELETE FROM orders');
    const unasked = await cli(['backup', 'restore', id, '--drop-existing']);
    expect([unasked.code, unasked.stderr]).toEqual([
      2,
      expect.stringMatching(/nobody is here to type its name[^]*→ Add --yes/),
    ]);
    expect(await orders()).toMatchObject({ n: 0 });
    const said = await ok(['backup', 'restore', id, '--drop-existing', '--yes']);
    const aside = /the old one is now (\S+),/.exec(said)?.[1];
    expect(await orders()).toEqual(before);
    expect(await orders(aside)).toMatchObject({ n: 0 });
    const file = join(home, '-odd name.dump');
    writeFileSync(file, readFileSync(join(home, 'backups/lifeboat/local/logical/shop', id, 'database.dump.zst')));
    await ok(['backup', 'restore', '--file', '-odd name.dump', '--into', 'from_a_file']);
    expect(await orders('from_a_file')).toEqual(before);
  });

  test('cleanup removes what is older than BACKUP_RETENTION_DAYS, but never the last good one, and says first what it would remove', async () => {
    await ok(['backup', 'create'], { BACKUP_COMPRESSION: 'false' });
    const [newest, old] = await list();
    expect([newest!.compression, old!.compression]).toEqual(['none', 'zstd']);
    // As if the clock had gone on by a year: the timestamps of both go back.
    for (const { id } of [newest!, old!]) {
      const meta = join(home, 'backups/lifeboat/local/logical/shop', `${id}.meta.json`);
      const record = JSON.parse(readFileSync(meta, 'utf8')) as BackupRecord;
      writeFileSync(
        meta,
        JSON.stringify({
          ...record,
          timestamp: new Date(Date.parse(record.timestamp) - 365 * 86_400_000).toISOString(),
        }),
      );
    }
    const dry = await ok(['backup', 'cleanup', '--dry-run'], { BACKUP_RETENTION_DAYS: '7' });
    expect(dry).toMatch(new RegExp(`would remove 1; kept 1 at backups\\n {2}${old!.id} .*no rule keeps it`));
    expect(await list()).toHaveLength(2);
    await ok(['backup', 'cleanup'], { BACKUP_RETENTION_DAYS: '7' });
    expect((await list()).map(({ id }) => id)).toEqual([newest!.id]);
    expect(existsSync(join(home, 'backups/lifeboat/local/logical/shop', old!.id))).toBe(false);
  });

  test('bad input is said in words, and nothing is changed', async () => {
    const before = await list();
    const refusedWith = async (args: string[], says: RegExp, more: Record<string, string> = {}) => {
      const { code, stdout, stderr } = await cli(args, more);
      expect([code, stdout + stderr]).toEqual([2, expect.stringMatching(says)]);
    };
    await refusedWith(['backup', 'create', '--incremental'], /takes no physical backups of shop[^]*→ It takes logical/);
    await refusedWith(
      ['backup', 'restore', '19990101T000000Z', '--into', 'x'],
      /There is no backup 19990101T000000Z[^]*→ See what there is/,
    );
    await refusedWith(['backup', 'restore', before[0]!.id], /Where to\? Either --into NAME, or --drop-existing/);
    await refusedWith(['backup', 'restore', before[0]!.id, '--into', 'shop'], /there is a database shop already/);
    for (const args of [['list'], ['verify'], ['restore', before[0]!.id, '--into', 'x']])
      await refusedWith(
        ['backup', ...args, '--location', 'backup'],
        /The plan has no location "backup"[^]*→ It has backups/,
      );
    await refusedWith(['backup', 'create'], /BACKUP_DIR cannot be made/, { BACKUP_DIR: '/nowhere/at/all' });
    await refusedWith(['backup', 'create'], /password authentication failed|no connection/, {
      DATABASE_URL: `postgres://postgres:wrong@127.0.0.1:${lab.primary.port}/shop`,
    });
    expect(await list()).toEqual(before);
  });

  test('two at once: one works, the other is refused with the reason', async () => {
    const both = await Promise.all([cli(['backup', 'create']), cli(['backup', 'create'])]);
    const codes = both.map(({ code }) => code).sort();
    const said = both.map(({ stdout, stderr }) => stdout + stderr).join('');
    // Or the second one came when the first had ended.
    if (codes[1] !== 0)
      expect([codes, said]).toEqual([
        [0, 3],
        expect.stringMatching(/Another lifeboat backup command works on this database/),
      ]);
  });
});
