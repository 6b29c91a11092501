import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { capture, type CliResult } from '../../lab/capture.js';
import { freePort } from '../../lab/ports.js';
import { cliEntry } from '../../lab/root.js';
import { atOnce } from '../helpers/at-once.js';

/**
 * Every command with a plan that is missing or wrong, without Temporal, and mistyped: what it says, and with which
 * code.
 */

/** Every command line that reads the plan and talks with Temporal. */
const online = [
  ['start', 'database-corruption'],
  ['drill', 'start', 'database-corruption'],
  ['watch'],
  ['watch', '--once'],
  ['incidents'],
  ['approve'],
  ['decide', 'retry'],
  ['note', 'a note'],
  ['abort', '--reason', 'a test'],
  ['report'],
  ['close'],
  ['backup', 'create'],
  ['backup', 'list'],
  ['backup', 'verify'],
  ['doctor'],
  ['schedules', 'apply'],
  ['schedules', 'list'],
  ['schedules', 'pause'],
  ['schedules', 'resume'],
];
const others = [['check'], ['document'], ['init'], ['up'], ['worker'], ['agent', '--host', 'db1']];
const workers = [['up'], ['worker'], ['agent', '--host', 'db1']];
const groups = [['backup'], ['schedules'], ['drill']];

let directory: string;
let env: Record<string, string>;
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'lifeboat-commands-'));
  env = {
    PATH: process.env['PATH'] ?? '',
    HOME: directory,
    LIFEBOAT_STATE_DIR: join(directory, 'state'),
    TEMPORAL_ADDRESS: `127.0.0.1:${await freePort()}`,
  };
  writeFileSync(join(directory, 'wrong.yaml'), 'system: 1\nobjectives: { rto: soon }\n');
  writeFileSync(join(directory, 'good.yaml'), plan);
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const plan = `
system: shop
objectives: { rto: 15m, rpo: 5m }
hosts: { db1: { region: home } }
locations: { onsite: { directory: /nowhere/backups } }
databases:
  main:
    name: shop
    postgres: { primary: db1, dataDirectory: /nowhere/data }
    backups: { physical: { locations: [onsite] } }
`;

const lifeboat = (...args: string[]): Promise<CliResult> =>
  capture(process.execPath, [cliEntry, ...args], directory, env);
const name = (args: string[]): string => args.join(' ');

/** Runs command lines, so many at a time; gives what each of them did. */
const all = (lines: string[][], lanes = 4): Promise<[string[], CliResult][]> =>
  atOnce(
    lines.map((line) => async (): Promise<[string[], CliResult]> => [line, await lifeboat(...line)]),
    lanes,
  );

const stack = /^\s+at .+:\d+:\d+/m;

const colour = /\x1b\[/;

/** What holds for every command that fails as expected: its code, words and a hint for people; JSON for programs. */
function expectSaid([args, result]: [string[], CliResult], code: number, says: RegExp, json: boolean): void {
  const what = `lifeboat ${name(args)}\n${result.stdout}${result.stderr}`;
  expect(result.code, what).toBe(code);
  expect(result.stdout + result.stderr, what).not.toMatch(stack);
  expect(result.stdout + result.stderr, what).not.toMatch(colour);
  if (!json) {
    expect(result.stderr, what).toMatch(says);
    return;
  }
  const parsed = JSON.parse(result.stdout) as object;
  expect(JSON.stringify(parsed), what).toMatch(says);
  expect(result.stderr, `on stderr: ${what}`).toBe('');
}

describe('each command says what is wrong with the plan', { timeout: 900_000 }, () => {
  const reading = [...online, ...others.filter(([command]) => command !== 'init')];
  const code = ([command]: string[]): number => (command === 'check' || command === 'document' ? 1 : 2);

  test.each([[true], [false]])('when there is none (--json: %s)', async (json) => {
    for (const one of await all(reading.map((line) => [...line, ...(json ? ['--json'] : [])]))) {
      expectSaid(one, code(one[0]), /there is no such file|There is no plan file here/, json);
    }
  });

  test.each([[true], [false]])('when it has mistakes: each with its line (--json: %s)', async (json) => {
    for (const one of await all(
      reading.map((line) => ['--plan', 'wrong.yaml', ...line, ...(json ? ['--json'] : [])]),
    )) {
      expectSaid(one, code(one[0].slice(2)), json ? /"line":1.*"line":2/ : /wrong\.yaml:1:9 [^]*wrong\.yaml:2:/, json);
    }
  });

  test('init does not overwrite a plan, and says so as JSON too', async () => {
    const [text, json] = [
      await lifeboat('--plan', 'wrong.yaml', 'init'),
      await lifeboat('--plan', 'wrong.yaml', 'init', '--json'),
    ];
    expect(text).toMatchObject({
      code: 2,
      stdout: '',
      stderr: expect.stringContaining('is there already, and was left as it is'),
    });
    expect(json).toMatchObject({ code: 2, stderr: '' });
    expect(JSON.parse(json.stdout)).toMatchObject({ ok: false, error: expect.stringContaining('is there already') });
  });
});

describe('each command says that Temporal is offline', { timeout: 900_000 }, () => {
  test('in one line, with a hint and exit code 6; with --json too', async () => {
    // Each tries for five seconds: they wait together.
    const lines = [...online, ...online.filter((_, at) => at % 4 === 0).map((line) => [...line, '--json'])];
    for (const one of await all(
      lines.map((line) => ['--plan', 'good.yaml', '--as', 'ben', ...line]),
      lines.length,
    )) {
      const json = one[0].includes('--json');
      expectSaid(one, 6, /Temporal does not answer at 127\.0\.0\.1:\d+/, json);
      if (json)
        expect(JSON.parse(one[1].stdout)).toMatchObject({ code: 6, hint: expect.stringContaining('lifeboat up') });
      else
        expect(one[1].stderr.trimEnd().split('\n')).toEqual([
          expect.stringContaining('Temporal does not answer'),
          expect.stringMatching(/^→ .*lifeboat up/),
        ]);
    }
  });
});

describe('a command that was mistyped', { timeout: 900_000 }, () => {
  const mistyped: [string[], RegExp][] = [
    [[], /No command was given|Usage:/],
    [['strat', 'database-corruption'], /unknown command 'strat'/],
    [['start'], /missing required argument 'scenario'/],
    [['start', 'database-corruption', '--datbase', 'main'], /unknown option '--datbase'/],
    [['agent'], /required option '--host <name>' not specified/],
    [['agent', '--host', 'db9', '--plan', 'good.yaml'], /The plan has no host \\?"db9\\?"/],
    [['decide', 'may be'], /\\?"may be\\?" is no choice/],
    [['decide', 'retry', '--question', 'two'], /\\?"two\\?" is not the number of a question/],
    [['decide', 'skip', '--reason', '…'], /That is not a reason yet/],
    [['decide', 'restore', '--to', 'yesterday'], /\\?"yesterday\\?" is not a target/],
    [['approve', '--question', '1.5'], /is not the number of a question/],
    [['report', '--format', 'pdf'], /Allowed choices are md, json, html/],
    [['start', 'alien-invasion'], /There is no scenario \\?"alien-invasion\\?"/],
    [['start', 'database-corruption', '--to', '2026-11-21T03:15:00'], /has no offset from UTC/],
  ];

  test.each([[true], [false]])('is answered with exit code 2 and what would be right (--json: %s)', async (json) => {
    const says = new Map(mistyped.map(([line, words]) => [name(line), words]));
    for (const [line, result] of await all(mistyped.map(([words]) => (json ? [...words, '--json'] : words)))) {
      const plain = json ? line.slice(0, -1) : line;
      expectSaid([line, result], 2, says.get(name(plain))!, json);
    }
  });
});

describe('help', { timeout: 900_000 }, () => {
  test('of every command: usage, what it does, and the global options; no colours in a pipe', async () => {
    for (const [line, { code, stdout, stderr }] of await all(
      [[], ...groups, ...online, ...others].map((words) => [...words, '--help']),
    )) {
      const what = `lifeboat ${name(line)}\n${stdout}${stderr}`;
      expect({ code, stderr }, what).toEqual({ code: 0, stderr: '' });
      expect(stdout, what).toMatch(/^Usage: lifeboat/);
      expect(stdout, what).toContain('--plan <file>');
      expect(stdout, what).not.toMatch(colour);
    }
  });

  test('names every command that there is, and the exit codes', async () => {
    const { stdout } = await lifeboat('--help');
    for (const [command] of [...online, ...others]) expect(stdout).toMatch(new RegExp(`^  ${command!}\\b`, 'm'));
    expect(stdout).toMatch(/Exit codes: 0 done, 1 problems found, 2 bad input, 3 refused/);
  });
});

describe('a worker', { timeout: 900_000 }, () => {
  test('that is started twice on one host says so, without a stack', async () => {
    const { spawn } = await import('node:child_process');
    const first = spawn(process.execPath, [cliEntry, '--plan', 'good.yaml', 'agent', '--host', 'db1'], {
      cwd: directory,
      env,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    try {
      await new Promise((resolve) => first.stderr.once('data', resolve));
      const second = await lifeboat('--plan', 'good.yaml', 'agent', '--host', 'db1');
      expect(second).toMatchObject({
        code: 2,
        stderr: expect.stringMatching(/An agent of db1 runs already on this machine, with PID \d+\.\n→ Stop it first/),
      });
    } finally {
      first.kill('SIGKILL');
    }
  });

  test('without Temporal says so in one line, and goes on trying', async () => {
    const { spawn } = await import('node:child_process');
    for (const line of workers.slice(1)) {
      const child = spawn(process.execPath, [cliEntry, '--plan', 'good.yaml', ...line], {
        cwd: directory,
        env,
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      try {
        const said = await new Promise<string>((resolve) => {
          let text = '';
          child.stderr.on('data', (data: Buffer) => {
            text += data.toString();
            if (/Trying again/.test(text)) resolve(text);
          });
          child.once('exit', (code) => resolve(`it ended with ${code}: ${text}`));
        });
        expect(said).toMatch(/Temporal does not answer at 127\.0\.0\.1:\d+ .*Trying again until it does/);
        expect(said).not.toMatch(stack);
        expect(child.exitCode).toBeNull();
      } finally {
        child.kill('SIGKILL');
      }
    }
  });
});
