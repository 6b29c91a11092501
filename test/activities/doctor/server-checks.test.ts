import { appendFileSync, chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { hostFacts } from '../../../activities/doctor/host-facts.js';
import { preparedCheck } from '../../../activities/doctor/server-checks.js';
import { ensureArchiving } from '../../../activities/backups/protect.js';
import { releaseClaim } from '../../../activities/postgres/claim.js';
import { openDatabase, release } from '../../../activities/postgres/open.js';
import { demandNoIncident, type Source } from '../../../activities/postgres/source.js';
import { stopWrites } from '../../../activities/postgres/stop-writes.js';
import { createLab, type Lab } from '../../../lab/lab.js';
import { databaseUser } from '../../../lab/os-user.js';
import { until } from '../../../lab/wait.js';
import { type Host, hostOf } from '../../helpers/host.js';

describe('doctor, on the primary of a database', { timeout: 900_000 }, () => {
  let lab: Lab;
  let host: Host;

  beforeAll(async () => {
    lab = await createLab({ temporal: 'none', service: false, fast: true, rows: 200 });
    appendFileSync(join(lab.primary.dataDirectory, 'postgresql.conf'), '\nmax_prepared_transactions = 5\n');
    await lab.primary.restart();
    host = await hostOf(lab);
  }, 900_000);
  afterAll(() => lab.stop());

  const checked = async (what: string) => {
    const { checks } = await hostFacts(host.context).execute({});
    return checks.find((check) => check.what === `main primary: ${what}`);
  };
  const sql = (text: string, database = 'postgres') => lab.primary.sql(text, [], database);

  test('is not green without a canary, nor with one that beats no more', async () => {
    expect(await checked('canary')).toMatchObject({ result: 'fail', says: expect.stringContaining('there is none') });
    await host.beat();
    expect(await checked('canary')).toMatchObject({ result: 'pass' });
    await sql(`UPDATE lifeboat.canary SET ts = ts - interval '1 hour'`, lab.primary.database);
    expect(await checked('canary')).toMatchObject({ result: 'fail', says: expect.stringContaining('1h') });
    await host.beat();
  });

  test('sees a library that archives in the place of archive_command, and so does who makes archiving work', async () => {
    await ensureArchiving(host.cluster);
    expect(await checked('archive library')).toMatchObject({ result: 'pass' });
    await sql(`ALTER SYSTEM SET archive_library = 'basic_archive'`);
    await sql('SELECT pg_reload_conf()');
    const seen = await until('doctor sees it', async () => {
      const library = await checked('archive library');
      return library?.result === 'fail' ? library : undefined;
    });
    expect(seen.says).toContain('basic_archive');
    await expect(ensureArchiving(host.cluster)).rejects.toMatchObject({
      type: 'BadRequest',
      message: expect.stringContaining('basic_archive'),
    });
    await sql('ALTER SYSTEM RESET archive_library');
    await sql('SELECT pg_reload_conf()');
  });

  test('names databases that let nobody in, and what an interrupted DROP DATABASE left', async () => {
    expect(await checked('databases')).toMatchObject({ result: 'pass' });
    await sql('CREATE DATABASE closed ALLOW_CONNECTIONS false');
    expect(await checked('databases')).toMatchObject({ result: 'warn', says: 'let nobody in: closed' });
    await sql(`UPDATE pg_database SET datconnlimit = -2 WHERE datname = 'closed'`);
    expect(await checked('databases')).toMatchObject({
      result: 'warn',
      says: expect.stringContaining('interrupted: closed'),
    });
    await sql('UPDATE pg_database SET datconnlimit = -1 WHERE datconnlimit = -2');
    await sql('DROP DATABASE closed');
  });

  test('names a prepared transaction that was forgotten, and not one of a moment ago', async () => {
    await sql(`BEGIN; CREATE TABLE prepared (); PREPARE TRANSACTION 'forgotten'`);
    expect(await checked('prepared transactions')).toMatchObject({ result: 'pass', says: '1, of a moment ago' });
    expect(await preparedCheck(host.cluster, 0)).toMatchObject({
      result: 'warn',
      says: expect.stringContaining('forgotten, the oldest in'),
    });
    await sql(`ROLLBACK PREPARED 'forgotten'`);
  });

  test('what an incident closed is closed for doctor and for backups, also when somebody writes over its pg_hba.conf', async () => {
    const hba = join(lab.primary.dataDirectory, 'pg_hba.conf');
    const before = readFileSync(hba);
    const names = { database: 'main', incident: 'ended' };
    await stopWrites(host.context).execute(names);
    // The incident has ended and left it so.
    await releaseClaim(host.cluster, names.incident);
    const closed = async () => {
      expect(await checked('open')).toMatchObject({ result: 'warn', says: 'closed by incident (none is open)' });
      expect(await checked('canary')).toMatchObject({
        says: expect.stringContaining('while an incident holds the database'),
      });
      await expect(host.backup()).rejects.toMatchObject({
        type: 'Held',
        message: expect.stringContaining('left it so'),
      });
      await expect(
        demandNoIncident({ cluster: host.cluster, component: 'main' } as Source, 'dump is taken'),
      ).rejects.toMatchObject({
        type: 'Held',
      });
      expect(await release(host.context).execute(names)).toMatchObject({ closed: true });
    };
    await closed();
    writeFileSync(hba, before);
    await closed();
    await openDatabase(host.context).execute(names);
    expect(await checked('open')).toMatchObject({ result: 'pass' });
  });

  test.runIf(databaseUser)(
    'sees that the owner of the data cannot enter the state directory, or TMPDIR is not there',
    async () => {
      expect(await checked('rights of the owner')).toMatchObject({ result: 'pass' });
      chmodSync(host.context.state, 0o700);
      expect(await checked('rights of the owner')).toMatchObject({
        result: 'fail',
        says: expect.stringContaining('cannot enter'),
      });
      chmodSync(host.context.state, 0o755);
      vi.stubEnv('TMPDIR', '/nowhere');
      expect(await checked('rights of the owner')).toMatchObject({
        result: 'warn',
        says: expect.stringContaining('/nowhere'),
      });
      vi.unstubAllEnvs();
    },
  );
});
