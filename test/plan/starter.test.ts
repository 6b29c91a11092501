import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parsePlan } from '../../plan/load.js';
import type { Plan } from '../../plan/schema.js';
import { findOnThisMachine, starterNotes, starterPlan, type Findings } from '../../plan/starter.js';

const nothing: Findings = { hostname: 'web', timezone: 'UTC', notes: [] };
const read = (findings: Findings): Plan => parsePlan(starterPlan(findings), 'lifeboat.yaml');

describe('the starter plan passes check', () => {
  it.each<[string, Findings]>([
    ['nothing found', nothing],
    [
      'nothing that can be used',
      {
        ...nothing,
        hostname: '10.0.0.1',
        timezone: 'Mars/Base',
        database: {
          name: '',
          host: '2001:db8::1',
          port: 0,
          dataDirectory: 'relative',
          socketDirectory: '@abstract',
          configFile: 'x',
          user: '',
        },
      },
    ],
    [
      'names that YAML takes for something else',
      {
        ...nothing,
        hostname: 'null',
        database: {
          name: 'true',
          user: 'no',
          tables: ['on', '1', 'a: b', 'x.y', 'x.y', '__proto__', '"q"', '# no', '- a', '\u0007'],
        },
      },
    ],
    ['a name of other letters', { ...nothing, hostname: 'сервер-01', database: { name: 'магазин "x"\n# y' } }],
    ['a long host name', { ...nothing, hostname: `${'a'.repeat(70)}.example.com` }],
    ['a data directory among the backups', { ...nothing, database: { name: 'a', dataDirectory: '/var/backups' } }],
    [
      'backups inside of the data directory',
      { ...nothing, database: { name: 'a', dataDirectory: '/srv/pg/' }, backups: { directory: '/srv/pg/backups' } },
    ],
  ])('%s', (_, findings) => expect(Object.keys(read(findings).databases)).toEqual(['main']));

  it('with everything that a Debian host tells', () => {
    const plan = read({
      hostname: 'db-7.example.com',
      timezone: 'Europe/Kyiv',
      notes: [],
      database: {
        name: 'shop',
        port: 5433,
        dataDirectory: '/var/lib/postgresql/15/main',
        configFile: '/etc/postgresql/15/main/postgresql.conf',
        socketDirectory: '/run/pg',
        user: 'admin',
        hasPassword: true,
        systemd: 'postgresql@15-main',
        tables: ['users', 'billing.invoices'],
      },
      backups: { directory: '/mnt/backups', keepFull: 30 },
    });
    expect(plan).toMatchObject({
      system: 'shop',
      timezone: 'Europe/Kyiv',
      locations: { onsite: { directory: '/mnt/backups' } },
    });
    expect(plan.databases.main).toMatchObject({
      name: 'shop',
      postgres: {
        primary: 'db-7',
        port: 5433,
        configFile: '/etc/postgresql/15/main/postgresql.conf',
        socketDirectory: '/run/pg',
        user: 'admin',
        password: 'env:PGPASSWORD',
        systemd: 'postgresql@15-main',
      },
      backups: { physical: { keep: { full: 30 } } },
      verify: { rows: { users: { maxDrop: 0.01 }, 'billing.invoices': { maxDrop: 0.01 } } },
    });
  });
  it('with each line of it that only waits for its # to be removed', () => {
    const text = starterPlan(nothing).replace(
      /^( *)# (?=(encryption|offsite|logical|files|redis|code|notifications): )/gm,
      '$1',
    );
    const plan = parsePlan(text, 'lifeboat.yaml');
    expect(plan.locations.offsite!.s3!.bucket).toBe('NAME');
    expect(plan.databases.main!.backups).toMatchObject({
      logical: { locations: ['onsite'] },
      verification: { host: 'web' },
    });
    expect([plan.files, plan.redis, plan.code, plan.notifications].map((each) => Object.keys(each))).toEqual([
      ['uploads'],
      ['cache'],
      ['site'],
      ['slack'],
    ]);
  });
  it('begins with the line that editors read', () =>
    expect(starterPlan(nothing)).toMatch(/^# yaml-language-server: \$schema=\.\/lifeboat\.schema\.json\n/));
});

describe('what is found', () => {
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'lifeboat-find-'));
    await writeFile(
      join(directory, 'pg_lsclusters'),
      '#!/bin/sh\necho "15 main 5432 down postgres /nowhere/15/main /log"\necho "16 shop 5499 online postgres /nowhere/16/shop /log"\n',
    );
    await chmod(join(directory, 'pg_lsclusters'), 0o755);
    await mkdir(join(directory, 'linked'));
  });
  afterAll(() => rm(directory, { recursive: true }));

  it('nothing at all, and it says so', async () => {
    const findings = await findOnThisMachine({ PATH: '' });
    expect(findings.database).toBeUndefined();
    expect(findings.notes.join()).toContain('no DATABASE_URL');
    read(findings);
  });
  it('the cluster of Debian that runs, with its configuration elsewhere', async () => {
    const findings = await findOnThisMachine({ PATH: `${directory}:/bin:/usr/bin` });
    expect(findings.database).toMatchObject({
      port: 5499,
      dataDirectory: '/nowhere/16/shop',
      configFile: '/etc/postgresql/16/shop/postgresql.conf',
    });
    expect(read(findings).databases.main!.postgres.port).toBe(5499);
  });
  it('a cluster that pg_ctlcluster starts, where there is no systemd', () => {
    const database = { name: 'shop', debianCluster: '16-shop' };
    expect(read({ ...nothing, database }).databases.main!.postgres).toMatchObject({ debianCluster: '16-shop' });
    expect(
      read({ ...nothing, database: { ...database, systemd: 'postgresql@16-shop' } }).databases.main!.postgres
        .debianCluster,
    ).toBeUndefined();
  });
  it('a data directory that a link leads to, and it says where', async () => {
    const link = join(directory, 'main');
    const real = join(directory, 'real');
    await mkdir(real);
    await symlink(real, link);
    await writeFile(
      join(directory, 'linked', 'pg_lsclusters'),
      `#!/bin/sh\necho "15 main 5499 online postgres ${link} /log"\n`,
      {
        mode: 0o755,
      },
    );
    const findings = await findOnThisMachine({ PATH: `${join(directory, 'linked')}:/bin:/usr/bin` });
    expect(findings.database!.dataDirectory).toBe(link);
    expect(findings.notes.join('\n')).toContain(`${link} leads to ${real} by a link`);
  });
  it('a DATABASE_URL that does not connect: its names, and never its password', async () => {
    const findings = await findOnThisMachine({
      PATH: directory,
      DATABASE_URL: 'postgres://app:hunter2@127.0.0.1:1/orders%20x',
      TZ: 'Asia/Kolkata',
    });
    expect(findings).toMatchObject({
      timezone: 'Asia/Kolkata',
      database: { name: 'orders x', user: 'app', hasPassword: true, port: 1 },
    });
    const plan = starterPlan(findings);
    expect(JSON.stringify(findings) + plan + starterNotes(findings).join()).not.toContain('hunter2');
    expect(read(findings).databases.main!.postgres.password).toBe('env:PGPASSWORD');
    expect(starterNotes(findings).join()).toContain('export PGPASSWORD=');
    expect(findings.notes.join()).toContain('does not connect');
  });
  it.each(['mysql://a:hunter2@h/x', 'not a url hunter2', 'postgres://a:hunter2@[bad/x'])(
    'a DATABASE_URL that cannot be used: %s',
    async (url) => {
      const findings = await findOnThisMachine({ PATH: '', DATABASE_URL: url });
      expect(findings.database).toBeUndefined();
      expect(JSON.stringify(findings)).not.toContain('hunter2');
    },
  );
  it('BACKUP_DIR and BACKUP_RETENTION_DAYS', async () => {
    expect((await findOnThisMachine({ PATH: '', BACKUP_DIR: '/mnt/x', BACKUP_RETENTION_DAYS: '30' })).backups).toEqual({
      directory: '/mnt/x',
      keepFull: 30,
    });
    expect((await findOnThisMachine({ PATH: '', BACKUP_RETENTION_DAYS: 'many' })).backups).toBeUndefined();
  });
});
