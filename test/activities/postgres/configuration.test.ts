import {
  appendFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { openDatabase } from '../../../activities/postgres/open.js';
import { putBack, putInPlace } from '../../../activities/recovery/put-in-place.js';
import type { Lab } from '../../../lab/lab.js';
import { makeDirectory, own } from '../../../lab/os-user.js';
import { byCapabilities } from '../../helpers/by-capabilities.js';
import { type Host } from '../../helpers/host.js';

/**
 * How a database was configured, and where its parts lie on other disks: what of it a restore keeps, and what is said;
 * by the capabilities themselves.
 */
describe("a database's own configuration", { timeout: 900_000 }, () => {
  let lab: Lab;
  let host: Host;
  let data: string;
  const on = byCapabilities();
  beforeAll(() => void ({ lab, host, data } = on));
  const { of, doctor, close, restoreAndVerify, open, rows } = on;

  describe('configuration that production does not start with', () => {
    test('doctor says what PostgreSQL says of it', async () => {
      const file = join(data, 'postgresql.conf');
      const before = readFileSync(file, 'utf8');
      appendFileSync(file, "\nshared_buffers = 'many'\n");
      try {
        expect(await doctor('configuration')).toMatchObject({
          result: 'fail',
          says: expect.stringContaining('shared_buffers') as string,
        });
      } finally {
        writeFileSync(file, before);
      }
      expect(await doctor('configuration')).toMatchObject({ result: 'pass' });
    });

    test('a key that the owner of the data cannot read', async () => {
      const key = join(lab.directory, 'server.key');
      writeFileSync(key, 'secret', { mode: 0o600 });
      const settings = join(data, 'postgresql.conf');
      const before = readFileSync(settings, 'utf8');
      appendFileSync(settings, `\nssl = on\nssl_key_file = '${key}'\n`);
      try {
        const found = await doctor('configuration');
        if (process.getuid?.() === 0)
          expect(found).toMatchObject({
            result: 'fail',
            says: expect.stringContaining('ssl_key_file cannot be read') as string,
          });
      } finally {
        writeFileSync(settings, before);
      }
    });

    test('what only a start shows is known before the approval, and stays a finding of doctor', async () => {
      const file = join(data, 'postgresql.conf');
      const before = readFileSync(file, 'utf8');
      appendFileSync(file, "\nshared_preload_libraries = 'not_there'\n");
      try {
        const verified = await restoreAndVerify('preload');
        expect(verified.doubts.join('\n')).toMatch(/does not start with production's own configuration: .*not_there/);
        expect(verified.summary).toMatch(/^sound/);
        expect(await doctor('restore')).toMatchObject({
          result: 'fail',
          says: expect.stringContaining('not_there') as string,
        });
      } finally {
        writeFileSync(file, before);
      }
    });
  });

  test('what was configured since the backup stays: hba, settings, ALTER SYSTEM, links; slots come back or are named', async () => {
    const { primary } = lab;
    const ident = join(lab.directory, 'ident.conf');
    const hba = join(data, 'pg_hba.conf');
    const open0 = readFileSync(hba, 'utf8');
    writeFileSync(hba, `host all leaver all reject\n${open0}`);
    writeFileSync(ident, '# ours\n');
    own(ident);
    rmSync(join(data, 'pg_ident.conf'), { force: true });
    symlinkSync(ident, join(data, 'pg_ident.conf'));
    mkdirSync(join(data, 'conf.d'));
    own(join(data, 'conf.d'));
    writeFileSync(join(data, 'conf.d', 'ours.conf'), "work_mem = '7MB'\n");
    appendFileSync(join(data, 'postgresql.conf'), "\ninclude_dir = 'conf.d'\nwal_level = logical\n");
    await primary.sql(`ALTER SYSTEM SET maintenance_work_mem = '33MB'`);
    await primary.restart();
    await primary.sql(`SELECT pg_create_physical_replication_slot('standby1')`);
    await primary.sql(`SELECT pg_create_logical_replication_slot('feed', 'pgoutput')`);
    await close('since');
    const { differences, doubts } = await restoreAndVerify('since');
    const said = differences.join('\n');
    expect(doubts.filter((one) => /start/.test(one))).toEqual([]);
    expect(said).toMatch(/today's configuration is kept, and not that of the backup: /);
    for (const name of [
      'pg_hba.conf (1 line differs)',
      'postgresql.auto.conf (',
      'conf.d/ours.conf (not in the backup',
      'postgresql.conf (2 lines differ)',
    ])
      expect(said).toContain(name);
    expect(said).toContain(`a link to ${ident}`);
    expect(said).toMatch(/slots that are made again.*: standby1/);
    expect(said).toMatch(/logical replication slots that are gone afterwards: feed/);
    expect(await restoreAndVerify('since'), 'done again, it says the same').toMatchObject({ differences });

    const placed = await putInPlace(host.context).execute(of('since'));
    expect(placed).toMatchObject({ canGoBack: true, warnings: [] });
    await openDatabase(host.context).execute(of('since'));
    expect(readFileSync(hba, 'utf8')).toBe(`host all leaver all reject\n${open0}`);
    expect(readlinkSync(join(data, 'pg_ident.conf'))).toBe(ident);
    const [now] = await primary.sql(
      `SELECT current_setting('work_mem') AS work, current_setting('maintenance_work_mem') AS maintenance, current_setting('archive_mode') AS archive,
              (SELECT string_agg(slot_name || ' ' || slot_type, ',') FROM pg_replication_slots) AS slots`,
    );
    expect(now).toEqual({ work: '7MB', maintenance: '33MB', archive: 'on', slots: 'standby1 physical' });
    expect(readFileSync(join(data, 'postgresql.auto.conf'), 'utf8')).not.toMatch(/recovery_target|restore_command/);
    await primary.sql(`SELECT pg_drop_replication_slot('standby1')`);
    await open('since');
    await host.backup();
  });

  test('a tablespace made since the backup is never replayed into production; after a backup, where it lives afterwards is said', async () => {
    const { primary } = lab;
    const space = makeDirectory(join(lab.directory, 'space'), 0o700);
    await primary.sql(`CREATE TABLESPACE elsewhere LOCATION '${space}'`);
    await primary.sql(`CREATE TABLE there (id int) TABLESPACE elsewhere`);
    await primary.sql(`INSERT INTO there SELECT generate_series(1, 1000)`);
    await expect(host.restore('space')).rejects.toMatchObject({
      type: 'TargetUnreachable',
      message: expect.stringContaining(space) as string,
    });
    await host.backup();
    await host.beat();
    const { differences } = await restoreAndVerify('space2');
    expect(differences.join('\n')).toMatch(
      new RegExp(`tablespace \\d+ was at ${space}, and is at .*restored-space2\\.tablespaces/elsewhere afterwards`),
    );
    expect((await primary.sql('SELECT count(*)::int AS n FROM there'))[0]).toEqual({ n: 1000 });
    await primary.sql('DROP TABLE there');
    await primary.sql('DROP TABLESPACE elsewhere');
    await host.backup();
  });

  test('configuration under other names, and a directory of it that is a link, stay as they are today', async () => {
    const { primary } = lab;
    const conf = readFileSync(join(data, 'postgresql.conf'), 'utf8');
    const folder = makeDirectory(join(lab.directory, 'conf-elsewhere'));
    symlinkSync(folder, join(data, 'linked.d'));
    writeFileSync(join(folder, 'a.conf'), "work_mem = '5MB'\n");
    for (const [name, text] of [
      ['access.conf', readFileSync(join(data, 'pg_hba.conf'), 'utf8')],
      ['names.conf', ''],
    ] as const) {
      writeFileSync(join(data, name), text);
      own(join(data, name));
    }
    appendFileSync(
      join(data, 'postgresql.conf'),
      `\nhba_file = '${data}/access.conf'\nident_file = '${data}/names.conf'\ninclude_dir 'linked.d'\n`,
    );
    await primary.restart();
    await host.backup();
    const today = `host all leaver2 all reject\n${readFileSync(join(data, 'access.conf'), 'utf8')}`;
    writeFileSync(join(data, 'access.conf'), today);
    writeFileSync(join(data, 'names.conf'), '# today\nours root postgres\n');
    await host.beat();
    await close('names');
    const { differences, doubts } = await restoreAndVerify('names');
    expect(doubts).toEqual([]);
    for (const line of [
      'access.conf (1 line differs)',
      'names.conf (1 line differs)',
      `linked.d (a link to ${folder})`,
    ])
      expect(differences.join('\n')).toContain(line);
    expect(await restoreAndVerify('names'), 'done again, it says the same').toMatchObject({ differences });
    await putInPlace(host.context).execute(of('names'));
    expect(readFileSync(join(data, 'access.conf'), 'utf8')).toMatch(/^# Closed by Lifeboat/);
    await openDatabase(host.context).execute(of('names'));
    expect(readFileSync(join(data, 'access.conf'), 'utf8')).toBe(today);
    expect(readlinkSync(join(data, 'linked.d'))).toBe(folder);
    await open('names');
    writeFileSync(join(data, 'postgresql.conf'), conf);
    await primary.restart();
    await host.backup();
  });

  test('pg_wal on a disk of its own is said before the approval, goes to that disk again, and comes back with a roll-back', async () => {
    const { primary } = lab;
    const disk = makeDirectory(join(lab.directory, 'fast-disk'));
    await primary.stop();
    renameSync(join(data, 'pg_wal'), join(disk, 'wal'));
    symlinkSync(join(disk, 'wal'), join(data, 'pg_wal'));
    await primary.start();
    await host.beat();
    const before = await rows();
    await close('wal');
    const { differences } = await restoreAndVerify('wal');
    expect(differences).toContain(
      `pg_wal is at ${disk}/wal, and that of the copy goes to ${disk}/wal.restored-wal when it is put in place`,
    );
    // What an attempt has left that was killed while it copied.
    mkdirSync(join(disk, 'wal.restored-wal.part'));
    expect(await putInPlace(host.context).execute(of('wal'))).toMatchObject({ warnings: [] });
    expect(readlinkSync(join(data, 'pg_wal'))).toBe(`${disk}/wal.restored-wal`);
    expect(readlinkSync(join(`${data}.quarantine-wal`, 'pg_wal')), 'of the damaged one').toBe(`${disk}/wal`);
    expect(readdirSync(data).filter((name) => name.startsWith('pg_wal'))).toEqual(['pg_wal']);
    await putBack(host.context).execute(of('wal'));
    expect(readlinkSync(join(data, 'pg_wal'))).toBe(`${disk}/wal`);
    await putInPlace(host.context).execute(of('wal'));
    expect(readlinkSync(join(data, 'pg_wal'))).toBe(`${disk}/wal.restored-wal`);
    await open('wal');
    expect(await rows()).toBe(before);
    await primary.stop();
    rmSync(join(data, 'pg_wal'));
    renameSync(`${disk}/wal.restored-wal`, join(data, 'pg_wal'));
    await primary.start();
    await host.backup();
  });
});
