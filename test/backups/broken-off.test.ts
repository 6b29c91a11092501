import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { capture, type CliResult } from '../../lab/capture.js';
import { createLab, type Lab } from '../../lab/lab.js';
import { cliEntry } from '../../lab/root.js';
import { until } from '../../lab/wait.js';
import type { BackupRecord } from '../../vocabulary/backup.js';
import { endLab } from '../helpers/incident.js';

/** Without a plan file, what a person breaks off does not go on behind their back with the next command. */
describe('a restore without a plan file', { timeout: 900_000 }, () => {
  let lab: Lab;
  let home: string;
  let id: string;
  const env = (more: Record<string, string> = {}) => {
    const { LIFEBOAT_PLAN: _plan, TEMPORAL_ADDRESS: _address, ...rest } = lab.env;
    const { passwords, port, database } = lab.primary;
    const url = `postgres://postgres:${passwords.superuser}@127.0.0.1:${port}/${database}`;
    return { ...rest, DATABASE_URL: url, BACKUP_DIR: join(home, 'backups'), ...more };
  };
  const cli = (args: string[], more: Record<string, string> = {}): Promise<CliResult> =>
    capture(process.execPath, [cliEntry, ...args], home, env(more));
  const names = async (like: string) =>
    (
      await lab.primary.sql<{ datname: string }>(
        'select datname from pg_database where datname ~ $1',
        [like],
        'postgres',
      )
    ).map(({ datname }) => datname);
  /** Ends the command with a signal while the dump is being loaded. */
  async function endInTheMiddle(signal: NodeJS.Signals): Promise<{ code: number | null; said: string }> {
    const args = [cliEntry, 'backup', 'restore', id, '--drop-existing', '--yes'];
    const child = spawn(process.execPath, args, { cwd: home, env: env(), stdio: 'pipe' });
    let said = '';
    child.stderr.on('data', (data: Buffer) => (said += data.toString()));
    await until('it loads', async () => (await names('^lifeboat_restore_')).length > 0, 120, 5);
    child.kill(signal);
    const [code] = (await once(child, 'close')) as [number | null];
    return { code, said };
  }

  beforeAll(async () => {
    lab = await createLab({ service: false, fast: true, temporal: 'none' });
    home = join(lab.directory, 'home');
    mkdirSync(home);
    await lab.primary.sql(
      'create table bulk as select g, gen_random_uuid()::text as t from generate_series(1, 1000000) g',
    );
    await lab.primary.sql('create index on bulk (t)');
    expect(await cli(['backup', 'create'])).toMatchObject({ code: 0 });
    const { stdout } = await cli(['backup', 'list', '--json']);
    id = (JSON.parse(stdout) as { backups: BackupRecord[] }).backups[0]!.id;
    await lab.primary.sql('create table since_then ()');
  }, 900_000);
  afterAll(() => endLab(lab));

  test('that is broken off by Ctrl-C is cancelled: nothing is replaced, then or later, and nothing of it stays', async () => {
    const { code, said } = await endInTheMiddle('SIGINT');
    expect([code, said]).toEqual([
      1,
      expect.stringMatching(/Broken off by SIGINT: "restore .* into the place of the old one" was cancelled/),
    ]);
    expect(await names('^(shop_before|lifeboat_restore)')).toEqual([]);
    expect(await cli(['backup', 'list'])).toMatchObject({ code: 0, stderr: '' });
    await pause(1000);
    expect(await names('^(shop_before|lifeboat_restore)')).toEqual([]);
    expect(await lab.primary.sql('select * from since_then')).toEqual([]);
  });

  test('that was killed goes on with the next command on that database, which says so, and never with one on another server', async () => {
    await endInTheMiddle('SIGKILL');
    const elsewhere = env()['DATABASE_URL'].replace('127.0.0.1', 'localhost');
    expect((await cli(['backup', 'list'], { DATABASE_URL: elsewhere })).stderr).toBe('');
    expect(await names('^shop_before')).toEqual([]);
    // And two databases at the same time are no trouble to each other.
    const [{ stderr }, other] = await Promise.all([
      cli(['backup', 'list']),
      cli(['backup', 'list'], { DATABASE_URL: elsewhere }),
    ]);
    expect(other).toMatchObject({ code: 0, stderr: '' });
    expect(stderr).toMatch(
      /Of a command that was killed, this goes on meanwhile: "restore .* into the place of the old one"/,
    );
    const again = await cli(['backup', 'restore', id, '--drop-existing', '--yes']);
    expect(again.code, again.stderr).toBe(0);
    expect(await names('^lifeboat_restore')).toEqual([]);
  });
});
