import {
  appendFileSync,
  closeSync,
  copyFileSync,
  openSync,
  readFileSync,
  renameSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { discardCopy } from '../../activities/backups/copies.js';
import { assess } from '../../activities/recovery/assess.js';
import { behindFence } from '../../activities/postgres/behind-fence.js';
import { releaseClaim } from '../../activities/postgres/claim.js';
import { noteOwnWrites, readClosing } from '../../activities/postgres/closing.js';
import { openDatabase } from '../../activities/postgres/open.js';
import { stopWrites } from '../../activities/postgres/stop-writes.js';
import { bringBackSynchronous, listed, needed } from '../../activities/postgres/synchronous.js';
import { readPidFile } from '../../lab/cluster.js';
import { startCopy, verifyRestored } from '../../activities/recovery/verify-restored.js';
import { createLab, type Lab } from '../../lab/lab.js';
import { childrenOf } from '../../lab/processes.js';
import { until } from '../../lab/wait.js';
import { type Host, hostOf } from '../helpers/host.js';

/**
 * A closed database takes no write from anybody, comes back as it was, and what was written to it all the same is
 * found.
 */
describe('the fence', { timeout: 900_000 }, () => {
  let lab: Lab;
  let host: Host;
  const names = { database: 'main', incident: 'fence' };
  const close = () => stopWrites(host.context).execute(names);
  const open = () => openDatabase(host.context).execute(names);
  const superuser = (): pg.ClientConfig => ({
    host: lab.primary.socketDirectory,
    port: lab.primary.port,
    user: 'postgres',
    password: lab.primary.passwords.superuser,
    database: lab.primary.database,
    connectionTimeoutMillis: 2000,
  });
  const connected = async (config: pg.ClientConfig): Promise<pg.Client> => {
    const client = new pg.Client(config);
    client.on('error', () => undefined);
    await client.connect();
    return client;
  };

  beforeAll(async () => {
    lab = await createLab({ temporal: 'none', service: false, fast: true, rows: 100, standby: true });
    host = await hostOf(lab);
    await lab.primary.sql('create table writes (id int)');
    await host.backup();
    await host.beat();
  }, 900_000);
  afterEach(async () => {
    await open();
    await releaseClaim(host.cluster, 'fence');
  });
  afterAll(() => lab.stop());

  test('a superuser who writes over the socket, again and again, writes nothing more once it is closed', async () => {
    const over = new AbortController();
    let acknowledged = 0;
    const insert = async (client: pg.Client): Promise<boolean> => {
      const wrote = await client.query('insert into writes values (1)').catch(() => undefined);
      if (wrote) acknowledged += 1;
      return wrote !== undefined && !over.signal.aborted;
    };
    const writing = (async () => {
      while (!over.signal.aborted) {
        const client = await connected(superuser()).catch(() => undefined);
        while (client && (await insert(client)));
        await client?.end().catch(() => undefined);
      }
    })();
    await until('it writes', () => acknowledged > 5);
    const closed = await close();
    expect(closed.proofs.join('; ')).toMatch(/listens on a private socket alone.*no client session is left/);
    const [then] = await lab.primary.sql<{ n: number }>('select count(*)::int as n from writes');
    // Somebody's configuration management puts pg_hba.conf back.
    const hba = join(lab.primary.dataDirectory, 'pg_hba.conf');
    copyFileSync(`${hba}.lifeboat-open`, hba);
    await lab.primary.sql('select pg_reload_conf()');
    await expect(connected(superuser())).rejects.toThrow(/ENOENT|ECONNREFUSED/);
    await expect(lab.primary.asApp('select 1')).rejects.toThrow(/ECONNREFUSED/);
    expect(await lab.primary.sql('select count(*)::int as n from writes')).toEqual([then]);
    over.abort();
    await writing;
    expect(then!.n, 'every row that was acknowledged is there').toBe(acknowledged);
    expect(await behindFence(host.context).execute(names)).toMatchObject({ commits: 0 });
  });

  test('a superuser of the application that fills every connection: it is closed all the same', async () => {
    await lab.primary.sql('alter role app superuser');
    const clients: pg.Client[] = [];
    try {
      for (;;) {
        const client = await connected(lab.primary.appConnection()).catch(() => undefined);
        if (!client) break;
        clients.push(client);
      }
      await expect(lab.primary.sql('select 1'), 'nobody else gets in').rejects.toMatchObject({ code: '53300' });
      const closed = await close();
      expect(closed.summary).toMatch(/closed: all sessions ended, a write is refused/);
      await expect(clients[0]!.query('insert into writes values (2)')).rejects.toThrow();
    } finally {
      for (const client of clients) await client.end().catch(() => undefined);
      await lab.primary.sql('alter role app nosuperuser');
    }
  });

  test('workers of extensions end with the fence and are there again when it is lifted', async () => {
    appendFileSync(join(lab.primary.dataDirectory, 'postgresql.conf'), "\nshared_preload_libraries = 'pg_prewarm'\n");
    await lab.primary.restart();
    const worker = () => {
      const server = readPidFile(lab.primary.dataDirectory);
      return (
        server &&
        childrenOf(server.pid).some((pid) =>
          readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('autoprewarm leader'),
        )
      );
    };
    await until('its worker runs', worker);
    await close();
    await open();
    await until('its worker runs again', worker);
  });

  test('somebody starts the closed server in the open and writes: found, and told with its number', async () => {
    await close();
    await assess(host.context).execute({ ...names, round: 1 });
    await noteOwnWrites(host.cluster, 'fence');
    expect(await behindFence(host.context).execute(names), 'what Lifeboat wrote itself does not count').toMatchObject({
      commits: 0,
    });
    const hba = join(lab.primary.dataDirectory, 'pg_hba.conf');
    const fence = readFileSync(hba, 'utf8');
    await lab.primary.stop();
    writeFileSync(hba, readFileSync(`${hba}.lifeboat-open`, 'utf8'));
    await lab.primary.start();
    for (let n = 0; n < 5; n += 1) await lab.primary.asApp('update products set price = price where id = 1');
    writeFileSync(hba, fence);
    expect(await behindFence(host.context).execute(names)).toMatchObject({ commits: 5, marked: true });
    await noteOwnWrites(host.cluster, 'fence');
    expect(await behindFence(host.context).execute(names), 'what they wrote never counts as our own').toMatchObject({
      commits: 5,
    });
    // A checkpoint removes what is archived of the WAL: then nobody knows, which is not nothing.
    const { ours, lsn } = (await readClosing(host.cluster, 'fence'))!;
    const [segment] = await lab.primary.sql<{ name: string }>('select pg_walfile_name($1::pg_lsn) as name', [
      ours ?? lsn,
    ]);
    const file = join(lab.primary.dataDirectory, 'pg_wal', segment!.name);
    renameSync(file, `${file}.away`);
    expect(await behindFence(host.context).execute(names)).toMatchObject({ commits: null, marked: true });
    renameSync(`${file}.away`, file);
  });

  test('a setting was mistyped since it started: it is closed as it runs, and who can still get in is said', async () => {
    const conf = join(lab.primary.dataDirectory, 'postgresql.conf');
    const good = readFileSync(conf, 'utf8');
    writeFileSync(conf, `${good}\nshared_buffers = banana\n`);
    try {
      const closed = await close();
      expect(closed.summary).toMatch(/closed by pg_hba\.conf alone/);
      expect(closed.warnings.join('; ')).toMatch(
        /was not restarted to close it.*banana|was not restarted to close it.*shared_buffers/,
      );
      await expect(lab.primary.asApp('select 1')).rejects.toThrow(/pg_hba\.conf rejects/);
      expect(lab.primary.isRunning()).toBe(true);
    } finally {
      writeFileSync(conf, good);
    }
  });

  test('the WAL says where it was closed, and where it was closed says nothing any more once it is open', async () => {
    await close();
    const closing = await readClosing(host.cluster, 'fence');
    expect(closing).toMatchObject({
      timeline: 1,
      restorePoint: expect.stringMatching(/^lifeboat-fence-\d+$/) as string,
      lsn: expect.stringMatching(/^[0-9A-F]+\/[0-9A-F]+$/) as string,
    });
    await close();
    expect(await readClosing(host.cluster, 'fence'), 'closed again, it is where it was').toEqual(closing);
    await open();
    expect(await readClosing(host.cluster, 'fence')).toBeUndefined();
  });

  test('a page of TOAST that was zeroed: what the assessment writes of it comes back with no restore to the latest', async () => {
    const { primary } = lab;
    await primary.sql('create table papers (id int primary key, body text)');
    await primary.sql('alter table papers alter body set storage external');
    await primary.sql(`insert into papers select n, repeat(md5(n::text), 200) from generate_series(1, 40) n`);
    const contents = `select md5(string_agg(body, '' order by id)) as md5 from papers`;
    const [whole] = await primary.sql<{ md5: string }>(contents);
    const [toast] = await primary.sql<{ path: string }>(
      `select pg_relation_filepath(reltoastrelid) as path from pg_class where relname = 'papers'`,
    );
    await primary.stop();
    const file = openSync(join(primary.dataDirectory, toast!.path), 'r+');
    writeSync(file, Buffer.alloc(8192), 0, 8192, 8192);
    closeSync(file);
    await primary.start();
    await close();
    const found = await assess(host.context).execute({ ...names, round: 1 });
    expect(found.classification, found.findings.join('; ')).toBe('not repairable');
    await host.restore('fence');
    await verifyRestored(host.context).execute({ ...names, target: 'latest', declaredAt: new Date().toISOString() });
    await startCopy(host.cluster, host.scratch('fence'));
    expect(await host.askCopy('fence', contents)).toEqual([whole]);
    await discardCopy(host.context).execute(names);
    await primary.sql('drop table papers');
  });

  test('a key that the owner can read no more since it started: it is closed as it runs, and not stopped for ever', async () => {
    const conf = join(lab.primary.dataDirectory, 'postgresql.conf');
    const good = readFileSync(conf, 'utf8');
    writeFileSync(conf, `${good}\nssl = on\nssl_key_file = '/nowhere/server.key'\n`);
    try {
      const closed = await close();
      expect(closed.summary).toMatch(/closed by pg_hba\.conf alone/);
      expect(closed.warnings.join('; ')).toMatch(/would not start with its configuration: ssl_key_file cannot be read/);
      expect(lab.primary.isRunning()).toBe(true);
    } finally {
      writeFileSync(conf, good);
    }
  });

  test('closed by an incident that was aborted, and not opened since: the next one ends at the mark of the first', async () => {
    await close();
    const first = await readClosing(host.cluster, 'fence');
    await assess(host.context).execute({ ...names, round: 1 });
    await releaseClaim(host.cluster, 'fence');
    await stopWrites(host.context).execute({ database: 'main', incident: 'next' });
    expect(await readClosing(host.cluster, 'next')).toMatchObject({
      lsn: first!.lsn,
      restorePoint: first!.restorePoint,
    });
    await releaseClaim(host.cluster, 'next');
  });

  test('synchronous replication whose standby is not there yet: set aside, said, and demanded again when it streams', async () => {
    const [primary, standby] = [lab.primary, lab.standby!];
    await primary.sql(`alter system set synchronous_standby_names = 'FIRST 1 (db2)'`);
    await primary.sql('select pg_reload_conf()');
    await standby.stop();
    await close();
    const opened = await open();
    expect(opened.warnings.join()).toMatch(/synchronous replication \(FIRST 1 \(db2\)\) is set aside/);
    await primary.asApp('update products set price = price where id = 1');
    expect(await bringBackSynchronous(host.cluster), 'not while nobody streams').toBe(false);
    await standby.start();
    await until('it is demanded again', () => bringBackSynchronous(host.cluster));
    expect(await primary.sql('show synchronous_standby_names')).toEqual([
      { synchronous_standby_names: 'FIRST 1 (db2)' },
    ]);
    await primary.sql('alter system reset synchronous_standby_names');
    await primary.sql('select pg_reload_conf()');
  });

  test.each([
    ['db2', 1],
    ['db2, db3', 1],
    ['2 (db2, db3)', 2],
    ['FIRST 2 (a, b, c)', 2],
    ['any 3 (a, b, c)', 3],
    ['*', 1],
  ])('%s asks for %i', (text, count) => expect(needed(text)).toBe(count));

  test.each([
    ['db2', ['db2']],
    ['FIRST 2 ("Db2", db3)', ['db2', 'db3']],
    ['*', ['*']],
  ])('%s names %j', (text, names) => expect(listed(text)).toEqual(names));
});
