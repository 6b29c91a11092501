import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { formatProblems, loadPlan, PlanError } from '../../plan/load.js';
import { change, good, goodPlan, problemsOf, where } from './plans.js';

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'lifeboat-plan-'));
});
afterAll(() => rm(directory, { recursive: true }));

describe('a good plan', () => {
  it('is read with its units and defaults', () => {
    const plan = goodPlan();
    expect(plan.objectives).toEqual({ rto: 3600, rpo: 900 });
    expect(plan.databases.main!.verify.rows.orders).toEqual({ maxDrop: 0.01 });
    expect(plan.databases.stock!.postgres).toMatchObject({
      port: 5433,
      standbys: [],
      user: 'postgres',
      socketDirectory: '/var/run/postgresql',
    });
    expect(plan.databases.stock!.backups.physical!.keep).toEqual({ full: 7 });
    expect(plan.services.backend!.watch).toBe(60);
    expect(plan.approvals).toEqual({ people: 1 });
  });

  it('cuts slashes off the end of a directory, so that its copy does not land inside of it', () => {
    expect(problemsOf(change(['/srv/a/stock', '/srv//a/stock/']))).toEqual([]);
  });

  it('is loaded from a file with its directory, digest and text', async () => {
    const path = join(directory, 'lifeboat.yaml');
    await writeFile(path, good);
    expect(await loadPlan(path)).toMatchObject({
      path,
      directory,
      text: good,
      digest: expect.stringMatching(/^[0-9a-f]{12}$/),
    });
  });

  it('is the example of the repository', async () => {
    const { plan } = await loadPlan('lifeboat.example.yaml');
    expect(plan.databases.main!.postgres.standbys).toEqual(['db2']);
    expect(Object.keys(plan.services)).toEqual(['backend']);
  });
});

describe('a file that is no plan', () => {
  const load = (name: string): Promise<unknown> => loadPlan(join(directory, name)).catch((error: unknown) => error);
  const expectProblem = (error: unknown, message: RegExp): void => {
    expect(error).toBeInstanceOf(PlanError);
    expect((error as PlanError).problems).toHaveLength(1);
    expect((error as PlanError).problems[0]).toMatchObject({
      line: 1,
      column: 1,
      message: expect.stringMatching(message),
      hint: expect.stringMatching(/./),
    });
  };

  it('is missing', async () => expectProblem(await load('none.yaml'), /no such file/));
  it('is a directory', async () => expectProblem(await load('.'), /is a directory/));
  it.each(['', '\n\n', '# only a comment\n', '---\n', 'null\n'])('is empty: %j', async (text) => {
    await writeFile(join(directory, 'empty.yaml'), text);
    expectProblem(await load('empty.yaml'), /is empty/);
  });
  it('is not text', async () => {
    await writeFile(join(directory, 'binary.yaml'), Buffer.from([0x73, 0xff, 0xfe, 0x00]));
    expectProblem(await load('binary.yaml'), /not UTF-8/);
  });
  it.skipIf(process.getuid?.() === 0)('may not be read', async () => {
    await writeFile(join(directory, 'closed.yaml'), good);
    await chmod(join(directory, 'closed.yaml'), 0);
    expectProblem(await load('closed.yaml'), /permission denied/);
  });
  it.each(['- a list\n', 'a text\n', '42\n'])('is something else: %j', (text) => {
    expect(problemsOf(text)).toMatchObject([
      { line: 1, column: 1, path: '', expected: expect.stringContaining('system: NAME') },
    ]);
  });
});

describe('YAML', () => {
  it('a key that stands twice, while the rest is checked all the same', () => {
    const problems = problemsOf(change(['timezone: Asia/Kolkata', 'system: other'], ['rto: 1h', 'rto: 1']));
    expect(problems.map(where)).toEqual(['2:1 ', '3:20 objectives.rto']);
    expect(problems[0]!.message).toContain('twice');
  });
  it.each([
    ['a tab', 'system: shop\nhosts:\n\tdb1: {}\n', 3, 1, /tab/],
    ['a quote that is never closed, where it was opened', 'system: "shop\ntimezone: UTC\n', 1, 9, /closing quote/],
    ['braces in a value in braces', 'system: shop\nx: { url: http://{host}:80/, within: 2s }\n', 2, 18, /does not fit/],
    ['a line of another indentation', 'hosts:\n  db1:\n    region: a\n   address: b\n', 4, 1, /indented/],
    ['a second document', 'system: shop\n---\nsystem: other\n', 2, 1, /second document/],
    ['a nested key on one line', 'system: shop: main\n', 1, 9, /nested/],
  ])('%s', (_, text, line, column, message) => {
    expect(problemsOf(text).at(-1)).toMatchObject({ line, column, message: expect.stringMatching(message) });
  });
  it('a cron that begins with a star is an alias: the rest is checked', () => {
    const problems = problemsOf(change(['full: 0 2 * * 0', 'full: */15 * * * *'], ['rto: 1h', 'rto: 1']));
    expect(problems[0]).toMatchObject({ line: 3, path: 'objectives.rto' });
    expect(problems[1]).toMatchObject({ line: 23, hint: expect.stringContaining('quotes') });
  });
  it('a tag', () => {
    expect(problemsOf(change(['system: shop', 'system: !ENV shop']))).toMatchObject([
      { line: 1, column: 9, message: expect.stringContaining('tag') },
    ]);
  });
  it('never repeats what the parser stumbled on: it may be a password', () => {
    for (const value of ['"hunter2"x', '*hunter2', '@hunter2', '!hunter2', '{ hunter2', '%hunter2', '"hunter2']) {
      expect(JSON.stringify(problemsOf(change(['file:secrets/postgres', value])))).not.toContain('hunter2');
    }
  });
  it('endless aliases', () => {
    const bomb = `a: &a [x]\n${[...'bcdefghij'].map((key, at) => `${key}: &${key} [${Array(9).fill(`*${'abcdefghi'[at]!}`).join(',')}]`).join('\n')}\n`;
    expect(problemsOf(bomb).some(({ message }) => message.includes('aliases'))).toBe(true);
  });
  it('keys that JavaScript takes for something else', () => {
    expect(problemsOf(`${good}__proto__: { a: 1 }\n`)).toMatchObject([{ message: 'unknown key "__proto__"' }]);
    expect(problemsOf(`${good}constructor: 1\n`)).toMatchObject([{ message: 'unknown key "constructor"' }]);
  });
  it('Windows line ends and a byte order mark', async () => {
    const path = join(directory, 'windows.yaml');
    await writeFile(path, `\uFEFF${good.replaceAll('\n', '\r\n')}`);
    expect((await loadPlan(path)).plan).toEqual(goodPlan());
  });
});

describe('keys and values', () => {
  it.each([
    [
      'unknown key',
      'primary: db1\n',
      'primary: db1\n      datadirectory: /x\n',
      '17:7 databases.main.postgres.datadirectory',
      'did you mean "dataDirectory"?',
    ],
    [
      'snake case',
      'primary: db1\n',
      'primary: db1\n      data_directory: /x\n',
      '17:7 databases.main.postgres.data_directory',
      'did you mean "dataDirectory"?',
    ],
    ['swapped letters', 'hosts: [app1]', 'hots: [app1]', '34:5 services.backend.hots', 'did you mean "hosts"?'],
    [
      'a key of another place',
      'system: shop',
      'system: shop\nescalateAfter: 5m',
      '2:1 escalateAfter',
      '"escalateAfter" belongs below people',
    ],
    [
      'a merge key',
      'system: shop',
      'system: shop\n<<: { a: 1 }',
      '2:1 <<',
      'YAML 1.2 has no merge keys: write the values out',
    ],
    [
      'nothing after the colon',
      'directory: /mnt/offsite',
      'directory:',
      '10:14 locations.offsite.directory',
      'give it a value, or remove the key',
    ],
    ['a number in quotes', 'port: 5432', 'port: "5432"', '19:13 databases.main.postgres.port', 'remove the quotes'],
    ['a number for a text', '"+91 1"', '911', '40:46 people.contacts.asha.phone', 'put it in quotes'],
  ])('%s', (_, from, to, place, hint) => {
    const problem = problemsOf(change([from, to])).find((each) => where(each) === place);
    expect(problem?.hint, JSON.stringify(problemsOf(change([from, to])).map(where))).toBe(hint);
  });

  it.each([
    [
      'a form of control that was meant',
      'control: { systemd: backend }',
      'control: { start: [a], stopp: [b], status: [c] }',
      ['services.backend.control.stop', 'services.backend.control.stopp'],
    ],
    ['a control that is no map', 'control: { systemd: backend }', 'control: backend', ['services.backend.control']],
    [
      'two forms of control at once',
      'control: { systemd: backend }',
      'control: { systemd: a, start: [b] }',
      ['services.backend.control.start'],
    ],
    ['a port out of range', 'port: 5432', 'port: 70000', ['databases.main.postgres.port']],
    [
      'a port for one host out of range',
      'port: 5432',
      'port: { db1: 0, db2: 5432 }',
      ['databases.main.postgres.port.db1'],
    ],
    ['a path with ..', '/srv/a/stock', '/srv/../stock', ['databases.stock.postgres.dataDirectory']],
    ['the root as data directory', '/srv/a/stock', '/', ['databases.stock.postgres.dataDirectory']],
    ['three approvals', 'timezone: Asia/Kolkata', 'approvals: { people: 3 }', ['approvals.people']],
    ['an unknown placeholder in a URL', 'http://{host}', 'http://{hots}', ['services.backend.health.url']],
  ])('%s', (_, from, to, paths) => {
    expect(
      problemsOf(change([from, to]))
        .map(({ path }) => path)
        .sort(),
    ).toEqual(paths);
  });
});

describe('references', () => {
  it.each([
    ['primary', 'primary: db1\n', 'primary: db\n', 'databases.main.postgres.primary', /db1/],
    ['standby', 'standbys: [db2]', 'standbys: [db22]', 'databases.main.postgres.standbys[0]', /db2/],
    [
      'the primary among its standbys',
      'standbys: [db2]',
      'standbys: [db2, db1]',
      'databases.main.postgres.standbys[1]',
      /remove/,
    ],
    ['a host that the map forgot', 'db1: /srv/a/main, ', '', 'databases.main.postgres.dataDirectory.db1', undefined],
    [
      'a host in the map that does not exist',
      'db2: /srv/b/main }',
      'db2: /srv/b/main, db9: /x }',
      'databases.main.postgres.dataDirectory.db9',
      /did you mean/,
    ],
    [
      'a host that the socket directories forgot',
      'port: 5432',
      'socketDirectory: { db1: /run }',
      'databases.main.postgres.socketDirectory.db2',
      undefined,
    ],
    [
      'a host in the map that the database is not on',
      'db2: /srv/b/main }',
      'db2: /srv/b/main, app1: /x }',
      'databases.main.postgres.dataDirectory.app1',
      /standbys/,
    ],
    ['location', '[onsite, offsite]', '[on-site]', 'databases.main.backups.physical.locations[0]', /"onsite"/],
    ['host of a service', 'hosts: [app1]', 'hosts: [app2]', 'services.backend.hosts[0]', /app1/],
    ['database of a service', 'database: main\n', 'database: mane\n', 'services.backend.database', /main/],
    ['database of a drill', 'database: main, schedule', 'database: maim, schedule', 'drills[0].database', /main/],
    [
      'a drill that does not say which database',
      'database: main, schedule',
      'schedule',
      'drills[0].database',
      undefined,
    ],
    ['on call', 'onCall: [ben, asha]', 'onCall: [ben, aisha]', 'people.onCall[1]', /asha/],
    ['role', 'incidentCommander: asha', 'incidentCommander: bne', 'people.roles.incidentCommander', /ben/],
    [
      'two databases in one data directory',
      '/srv/a/stock',
      '/srv/a/main/',
      'databases.stock.postgres.dataDirectory',
      /its own/,
    ],
    ['two databases on one port', 'port: 5433', 'port: 5432', 'databases.stock.postgres.port', /its own/],
    ['two databases on the port of convention', ', port: 5433', '', 'databases.stock.postgres.port', /its own/],
    [
      'backups inside of a data directory',
      'directory: /mnt/offsite',
      'directory: /srv/a/main/backups',
      'locations.offsite.directory',
      /elsewhere/,
    ],
  ])('%s', (_, from, to, path, hint) => {
    const problems = problemsOf(change([from, to]));
    expect(problems.map((problem) => problem.path)).toEqual([path]);
    if (hint) expect(problems[0]!.hint).toMatch(hint);
    expect(problems[0]!.line).toBeGreaterThan(1);
  });
  it('people need not be known when the plan has no contacts', () => {
    expect(problemsOf(good.replace(/^ {2}contacts: .*\n/m, ''))).toEqual([]);
  });
  it('shows although other things are wrong', () => {
    expect(
      problemsOf(change(['primary: db1\n', 'primary: db3\n'], ['system: shop', 'system: 1'])).map(({ path }) => path),
    ).toContain('databases.main.postgres.primary');
  });
  it('a plan that protects nothing', () => {
    const text = good
      .replace(/databases:\n(.|\n)*?services:/, 'databases: {}\nservices:')
      .replace(/drills:\n.*\n/, '')
      .replace('    database: main\n', '');
    expect(problemsOf(text)).toMatchObject([
      { path: 'databases', message: expect.stringContaining('protects nothing') },
    ]);
  });
});

it('prints two or three lines for each problem, and what to type next', () => {
  const problems = problemsOf(change(['port: 5432', 'prot: 5432'], ['rpo: 15m', 'rpo: 15']));
  expect(formatProblems(new PlanError('lifeboat.yaml', problems))).toBe(
    [
      'lifeboat.yaml:3:29  objectives.rpo: 15 is not right',
      '  expected a duration such as 30s, 15m, 4h, 90d',
      'lifeboat.yaml:19:7  databases.main.postgres.prot: unknown key "prot"',
      '  did you mean "port"?',
      '',
      'lifeboat.yaml has 2 problems. Fix them, then type: lifeboat check',
      '',
    ].join('\n'),
  );
});
