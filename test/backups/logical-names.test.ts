import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createReadStream, createWriteStream, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip, createZstdCompress, zstdCompressSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encrypt } from '../../activities/encryption/age.js';
import { logical } from '../../activities/backups/logical/provider.js';
import { missingRoleStatements, readGlobals } from '../../activities/backups/logical/roles.js';
import { asideName } from '../../activities/backups/logical/marks.js';
import { createPrimary, type Cluster } from '../../lab/cluster.js';
import { tool } from '../../lab/tools.js';
import { createDumps, type Dumps, keptAt } from '../helpers/dumps.js';

/** What a database may be called, may hold and may belong to; and what somebody else's dump may look like. */

const odd = `-it's "Großes" DB`;
const oddOwner = `-o'wner "ä" x`;
let dumps: Dumps;
let second: Cluster;

beforeAll(async () => {
  dumps = await createDumps((plan) => {
    delete plan.databases['main']!.backups.physical;
    plan.databases['main']!.backups.logical = { locations: ['onsite'] };
  }, 200);
  // Of one cluster a plan protects one database by its files, and names one data directory once: here there are several
  // of them, by dumps.
  const { databases } = dumps.context.plan;
  const main = databases['main']!;
  databases['odd'] = {
    ...structuredClone(main),
    name: odd,
    verify: { rows: { [`-s "1'.-t "1'ü`]: {}, 'no such table': {} }, queries: [] },
  };
  databases['empty'] = { ...structuredClone(main), name: 'empty', verify: { rows: {}, queries: [] } };
  databases['empty'].backups.logical!.compression = false;
  databases['managed'] = structuredClone(main);
  delete databases['managed'].postgres.dataDirectory;
  databases['managed'].postgres.url = 'env:MANAGED_URL';
  const { primary } = dumps.lab;
  process.env['MANAGED_URL'] =
    `postgres://app:${encodeURIComponent(primary.passwords.app)}@127.0.0.1:${primary.port}/shop?sslmode=prefer`;
  const id = (name: string) => `"${name.replaceAll('"', '""')}"`;
  await primary.sql(`create role ${id(oddOwner)} login password 'x''y' in role app`, [], 'postgres');
  await primary.sql(
    `create database ${id(odd)} owner ${id(oddOwner)} encoding 'UTF8' lc_collate 'C.UTF-8' lc_ctype 'C.UTF-8' template template0`,
    [],
    'postgres',
  );
  await primary.sql(`create database empty`, [], 'postgres');
  for (const statement of [
    `create extension pg_trgm`,
    `create schema ${id(`-s "1'`)} authorization ${id(oddOwner)}`,
    `create table ${id(`-s "1'`)}.${id(`-t "1'ü`)} as select g as id, 'text ' || g as ${id('a b')} from generate_series(1, 500) g`,
    `alter table ${id(`-s "1'`)}.${id(`-t "1'ü`)} owner to ${id(oddOwner)}`,
    `create index on ${id(`-s "1'`)}.${id(`-t "1'ü`)} using gin (${id('a b')} gin_trgm_ops)`,
    `select lo_from_bytea(4711, decode(repeat('00ff', 100000), 'hex'))`,
    `alter database ${id(odd)} set search_path to ${id(`-s "1'`)}, public`,
    `alter role ${id(oddOwner)} in database ${id(odd)} set work_mem to '7MB'`,
  ])
    await primary.sql(statement, [], odd);
  second = await createPrimary({
    host: 'db9',
    directory: join(dumps.lab.directory, 'db9'),
    passwords: primary.passwords,
    fast: true,
    env: dumps.lab.env,
  });
}, 900_000);
afterAll(() => dumps.lab.stop());

describe('a database', () => {
  test('of an odd name, with an odd owner, an extension, large objects and settings is dumped, tested and restored as it was', async () => {
    const { primary } = dumps.lab;
    const taken = await dumps.take('odd');
    expect((await logical.list(dumps.context, 'odd')).backups[0]!.rows).toEqual({
      [`-s "1'.-t "1'ü`]: 500,
      'no such table': null,
    });
    const tested = await logical
      .testRestore(dumps.context)
      .execute({ component: 'odd', id: taken.id, location: 'onsite', run: 'odd' });
    expect(tested.doubts, tested.summary).toEqual([]);
    const into = `; drop "x" 'ß`;
    await dumps.restore({ component: 'odd', id: taken.id, into });
    const [facts] = await primary.sql(
      `select pg_get_userbyid(datdba) as owner, datcollate as collate,
         (select count(*)::int from "-s ""1'"."-t ""1'ü") as rows, length(lo_get(4711)) as large,
         (select count(*)::int from pg_extension where extname = 'pg_trgm') as extension, current_setting('search_path') as path,
         (select array_agg(setconfig::text) from pg_db_role_setting where setdatabase = d.oid and setrole <> 0) as settings
       from pg_database d where datname = current_database()`,
      [],
      into,
    );
    expect(facts).toEqual({
      owner: oddOwner,
      collate: 'C.UTF-8',
      rows: 500,
      large: 200_000,
      extension: 1,
      path: `"-s ""1'", public`,
      settings: ['{work_mem=7MB}'],
    });
    const replaced = await dumps.restore({ component: 'odd', id: taken.id, dropExisting: true });
    expect(replaced.into).toBe(odd);
    expect(replaced.aside).toMatch(/^-it's "Großes" DB_before_/);
  });

  test('without a table, not compressed, is dumped and restored', async () => {
    const taken = await dumps.take('empty');
    expect(await keptAt(dumps.context, 'onsite', 'empty')).toContain(`${taken.id}/database.dump.age`);
    expect((await logical.verify(dumps.context).execute({ component: 'empty' })).damaged).toEqual([]);
    expect((await dumps.restore({ component: 'empty', id: taken.id, into: 'empty too' })).into).toBe('empty too');
  });

  test('that is reached by a connection string is dumped by a role that may not read passwords', async () => {
    const taken = await dumps.take('managed');
    expect(taken.failed).toEqual([]);
    expect((await logical.list(dumps.context, 'managed')).backups[0]).toMatchObject({
      database: 'shop',
      rows: { orders: 200 },
    });
    await dumps.lab.primary.sql('alter role app createdb');
    expect((await dumps.restore({ component: 'managed', id: taken.id, into: 'managed copy' })).into).toBe(
      'managed copy',
    );
    await dumps.lab.primary.sql('alter role app nocreatedb');
  });

  test('is restored on a server that lacks its roles: they are made, and those that are there stay as they are', async () => {
    const taken = await dumps.take('odd');
    const there = structuredClone(dumps.context);
    Object.assign(there.plan.databases['odd']!.postgres, {
      dataDirectory: second.dataDirectory,
      port: second.port,
      socketDirectory: second.socketDirectory,
    });
    await second.sql(`alter role app password 'its own'`, [], 'postgres');
    const [before] = await second.sql<{ p: string }>(
      `select rolpassword as p from pg_authid where rolname = 'app'`,
      [],
      'postgres',
    );
    const { summary } = await dumps.restore({ component: 'odd', id: taken.id, dropExisting: true }, there);
    expect(summary).toContain(`made the missing roles ${oddOwner}`);
    const [role] = await second.sql(
      `select rolcanlogin as login, pg_has_role(rolname, 'app', 'member') as member from pg_roles where rolname = $1`,
      [oddOwner],
      'postgres',
    );
    expect(role).toEqual({ login: true, member: true });
    const [after] = await second.sql<{ p: string }>(
      `select rolpassword as p from pg_authid where rolname = 'app'`,
      [],
      'postgres',
    );
    expect(after).toEqual(before);
  });
});

describe('a file that pg_dump wrote is restored:', () => {
  const folder = () => join(dumps.lab.directory, 'files');
  const dump = (name: string, ...args: string[]): string => {
    const { primary } = dumps.lab;
    const path = join(folder(), name);
    mkdirSync(folder(), { recursive: true });
    execFileSync(
      join(tool('postgres'), '..', 'pg_dump'),
      ['-h', primary.socketDirectory, '-p', String(primary.port), '-U', 'postgres', '-f', path, ...args, 'shop'],
      { env: { ...process.env, PGPASSWORD: primary.passwords.superuser } },
    );
    return path;
  };
  const orders = async (database: string) =>
    (await dumps.lab.primary.sql<{ n: number }>('select count(*)::int as n from orders', [], database))[0]!.n;
  let at = 0;
  const restored = async (file: string): Promise<number> => {
    const into = `file ${(at += 1)}`;
    await dumps.restore({ file, into });
    return orders(into);
  };

  test('in custom format and as plain SQL, bare, as .gz, as .zst, encrypted', async () => {
    for (const file of [dump('-custom.dump', '-Fc'), dump('plain.sql', '-Fp')]) {
      expect(await restored(file), file).toBe(200);
      await pipeline(createReadStream(file), createGzip(), createWriteStream(`${file}.gz`));
      expect(await restored(`${file}.gz`)).toBe(200);
      await pipeline(createReadStream(file), createZstdCompress(), createWriteStream(`${file}.zst`));
      expect(await restored(`${file}.zst`)).toBe(200);
      await pipeline(
        createReadStream(`${file}.zst`),
        await encrypt(process.env['BACKUP_PASSPHRASE']!),
        createWriteStream(`${file}.age`),
      );
      expect(await restored(`${file}.age`)).toBe(200);
    }
    const odd = join(folder(), 'odd.sql');
    const rows = ['\\N', '\\\\connect x', '\\t tab', ';\\t\\\\!'].map((row) => `${row}\n`).join('');
    writeFileSync(
      odd,
      `create table t (x text);\ncopy t from stdin;\n${rows}\\.\nselect regexp_split_to_array('a; b', ';\\s*');\n`,
    );
    await dumps.restore({ file: odd, into: 'odd' });
    expect(await dumps.lab.primary.sql('select count(*)::int as n from t', [], 'odd')).toEqual([{ n: 4 }]);
    expect((await dumps.restore({ file: dump('again.dump', '-Fc'), dropExisting: true })).aside).toMatch(
      /^shop_before_/,
    );
    expect(await orders('shop')).toBe(200);
  });

  test('and what is none, or would reach beyond its database, is refused and leaves nothing', async () => {
    const names = async () => (await dumps.lab.primary.sql(`select datname from pg_database order by 1`)).length;
    const before = await names();
    const file = (name: string, data: string | Buffer): string => {
      writeFileSync(join(folder(), name), data);
      return join(folder(), name);
    };
    const cases: [string, RegExp][] = [
      [join(folder(), 'nowhere.dump'), /there is no file/],
      [folder(), /is no file/],
      [file('empty', ''), /empty/],
      [
        file('noise', Buffer.concat([Buffer.from([0, 1, 2]), randomBytes(5000)])),
        /no dump in custom format and no SQL/,
      ],
      [dump('connects.sql', '-Fp', '-C'), /\\connect/],
      [file('error.sql', 'create table t (i int);\nselect nothing from nowhere;\n'), /nowhere/],
      [file('spaces.sql', 'select 1;\n  \\! touch /tmp/never\n'), /holds "\\!"/],
      [file('behind.sql', 'select 1; \\! touch /tmp/never\n'), /holds "\\!"/],
      [file('quoted.sql', '\\echo `touch /tmp/never`\n'), /holds "\\echo"/],
      [file('large.sql', `${'-- nothing\n'.repeat(200_000)}\\connect postgres\n`), /holds "\\connect"/],
      [dump('tar.tar', '-Ft'), /no dump in custom format/],
      [
        file('two-pieces.sql.zst', Buffer.concat(['select 1;\n', 'select 2;\n'].map((sql) => zstdCompressSync(sql)))),
        /compressed by zstd in several pieces/,
      ],
    ];
    for (const [path, why] of cases)
      await expect(dumps.restore({ file: path, into: 'refused' }), path).rejects.toThrow(why);
    expect(await names()).toBe(before);
  });
});

test('of the globals, only what makes missing roles is run', () => {
  const script = [
    '--\n-- a comment; with "quotes\n--\n\n\\restrict abc\n',
    `CREATE ROLE postgres;\nALTER ROLE postgres WITH SUPERUSER PASSWORD 'a;b';\n`,
    `CREATE ROLE "new; ""one""";\nALTER ROLE "new; ""one""" WITH LOGIN PASSWORD 'SCRAM''x';\n`,
    `ALTER ROLE "new; ""one""" IN DATABASE x SET a TO 'b';\nALTER ROLE postgres SET a TO E'\\';';\n`,
    `GRANT app TO "new; ""one""" GRANTED BY postgres;\nGRANT app TO postgres;\nCREATE TABLESPACE fast OWNER postgres LOCATION '/x';\n`,
  ].join('');
  const globals = readGlobals(script);
  expect(globals).toMatchObject({ roles: ['postgres', 'new; "one"'], tablespaces: ['fast'] });
  expect(missingRoleStatements(globals, new Set(['new; "one"']))).toEqual([
    `CREATE ROLE "new; ""one"""`,
    `ALTER ROLE "new; ""one""" WITH LOGIN PASSWORD 'SCRAM''x'`,
    `GRANT app TO "new; ""one""" GRANTED BY postgres`,
  ]);
});

test('the name of what is renamed aside has 63 bytes at most, and no half character', () => {
  for (const name of ['shop', 'ß'.repeat(31), '🛟'.repeat(15)]) {
    const aside = asideName(name, new Date('2026-11-21T02:00:00Z'));
    expect(Buffer.byteLength(aside)).toBeLessThanOrEqual(63);
    expect(aside).toMatch(/^(shop|ß+|🛟+)_before_20261121T020000Z$/u);
  }
});
