import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { register as check } from '../../../client/commands/check.js';
import { register as document } from '../../../client/commands/document.js';
import { register as init } from '../../../client/commands/init.js';

/** The commands that need nothing but the plan file: check, document, init. */

let directory: string;
let file: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'lifeboat-commands-'));
  file = join(directory, 'lifeboat.yaml');
  vi.stubEnv('DATABASE_URL', '');
});
afterEach(async () => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  process.exitCode = undefined;
  await rm(directory, { recursive: true });
});

/** Runs a command line; gives what it wrote, and its exit code. */
async function lifeboat(...words: string[]): Promise<{ out: string; err: string; code: number }> {
  const written = { out: '', err: '' };
  const catchInto = (key: 'out' | 'err') => (chunk: string | Uint8Array) => {
    written[key] += String(chunk);
    return true;
  };
  const spies = [
    vi.spyOn(process.stdout, 'write').mockImplementation(catchInto('out')),
    vi.spyOn(process.stderr, 'write').mockImplementation(catchInto('err')),
  ];
  process.exitCode = undefined;
  const program = new Command('lifeboat').option('--plan <file>', 'the plan', 'lifeboat.yaml').option('--json');
  for (const register of [check, document, init]) register(program);
  try {
    await program.parseAsync(['--plan', file, ...words], { from: 'user' });
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
  const code = Number((process.exitCode as number | undefined) ?? 0);
  process.exitCode = undefined;
  return { ...written, code };
}

it('init writes a plan that check finds good, and its schema', async () => {
  const { out, code } = await lifeboat('init');
  expect(code).toBe(0);
  expect(out).toContain('Next, type: lifeboat check');
  expect((await readdir(directory)).sort()).toEqual(['lifeboat.schema.json', 'lifeboat.yaml']);
  expect(await lifeboat('check')).toMatchObject({
    code: 0,
    out: expect.stringMatching(/good\. 1 database, 1 host, .*digest [0-9a-f]{12}\nNext, type: lifeboat doctor/),
  });
});

it('check says that a data directory is a link on this machine, and where copies lie then', async () => {
  await lifeboat('init');
  const real = join(directory, 'real');
  await mkdir(real);
  await symlink(real, join(directory, 'link'));
  const plan = (await readFile(file, 'utf8')).replace(/dataDirectory: .*/, `dataDirectory: ${join(directory, 'link')}`);
  await writeFile(file, plan);
  expect(await lifeboat('check')).toMatchObject({
    code: 0,
    out: expect.stringContaining(`link is a link to ${real} on this machine`),
  });
});

it('init does not overwrite a plan without --force', async () => {
  await writeFile(file, 'mine');
  expect(await lifeboat('init')).toMatchObject({ code: 2, err: expect.stringContaining('is there already') });
  expect(await readFile(file, 'utf8')).toBe('mine');
  expect(await lifeboat('init', '--force')).toMatchObject({ code: 0 });
  expect(await readFile(file, 'utf8')).toContain('system:');
});

it('init says so when it cannot write', async () => {
  file = join(directory, 'none', 'lifeboat.yaml');
  expect(await lifeboat('init')).toMatchObject({ code: 2, err: expect.stringContaining('cannot be written (ENOENT)') });
});

it('check prints every problem and exits 1', async () => {
  await writeFile(file, 'system: 1\n');
  const { err, code } = await lifeboat('check');
  expect(code).toBe(1);
  expect(err).toContain(`${file}:1:9  system: 1 is not right`);
});

it('check --json is for programs', async () => {
  expect(JSON.parse((await lifeboat('check', '--json')).out)).toMatchObject({
    ok: false,
    digest: null,
    problems: [{ line: 1, message: 'there is no such file' }],
  });
  await lifeboat('init');
  expect(JSON.parse((await lifeboat('check', '--json')).out)).toEqual({
    ok: true,
    problems: [],
    notes: [],
    digest: expect.stringMatching(/^[0-9a-f]{12}$/),
  });
});

it('document prints Markdown, or writes it to a file', async () => {
  await lifeboat('init');
  const { out } = await lifeboat('document');
  expect(out).toMatch(/^# Disaster recovery of /);
  expect(out).not.toContain(directory);
  const target = join(directory, 'plan.md');
  expect(await lifeboat('document', '--out', target)).toMatchObject({
    code: 0,
    out: expect.stringContaining('written'),
  });
  expect(await readFile(target, 'utf8')).toContain('## If Lifeboat itself is gone');
  expect(await lifeboat('document', '--out', join(directory, 'none', 'plan.md'))).toMatchObject({
    code: 2,
    err: expect.stringContaining('ENOENT'),
  });
});

it('document of a plan with problems prints them and exits 1', async () => {
  expect(await lifeboat('document')).toMatchObject({
    code: 1,
    out: '',
    err: expect.stringContaining('there is no such file'),
  });
});
