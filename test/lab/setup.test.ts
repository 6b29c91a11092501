import { execFile, execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { checkout } from '../../lab/root.js';

const setup = join(checkout, 'scripts', 'setup.mjs');

function run(env: Record<string, string> = {}): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [setup], { env: { ...process.env, ...env } }, (_error, stdout, stderr) => {
      resolve({ code: child.exitCode ?? -1, stdout, stderr });
    });
  });
}

test('finds everything, in a second', async () => {
  const began = performance.now();
  const { code, stdout } = await run();
  expect(code).toBe(0);
  expect(stdout).toMatch(/^PostgreSQL \d+\.\d+ \/.*\npgBackRest \d+\.\d+ \/.*\nrestic \d+\.\d+.* \/.*\n/);
  for (const program of [
    'redis-server',
    'sshd',
    'openssl',
    'aws',
    'temporal',
    'versitygw',
    'toxiproxy-server',
    'fake-gcs-server',
  ])
    expect(stdout).toMatch(new RegExp(`/${program}$`, 'm'));
  // Beside a whole test run on a small machine it may take longer than alone.
  expect(performance.now() - began).toBeLessThan(60_000);
});

/** Where it is found whatever PATH says: then a machine without it cannot be had by changing the environment. */
const everywhere = ['/usr/bin', '/usr/local/bin', '/opt/homebrew/bin'].some((directory) =>
  existsSync(join(directory, 'temporal')),
);

/** What else is needed and may not be in /usr/bin: there already, so that these tests install but the one. */
const others = [
  'restic',
  'redis-server',
  'sshd',
  'openssl',
  'aws',
  'versitygw',
  'toxiproxy-server',
  'fake-gcs-server',
].sort();

/** A cache that has all of them, each of which says a version. */
function filledCache(home: string, programs: string[]): void {
  const cache = join(home, 'cache', 'lifeboat');
  for (const [folder, names] of Object.entries({ bin: programs, 'postgresql-17/bin': ['pg_dump'] })) {
    mkdirSync(join(cache, folder), { recursive: true });
    for (const name of names)
      writeFileSync(join(cache, folder, name), `#!/bin/sh\necho ${name} 1.0.0\n`, { mode: 0o755 });
  }
}

describe.skipIf(everywhere)('a machine without the Temporal CLI', () => {
  let home: string;
  let mirror: Server;
  let answers: { status: number; body: Buffer };
  let asked: string[];

  beforeEach(async () => {
    home = mkdtempSync(join(tmpdir(), 'setup-'));
    asked = [];
    filledCache(home, others);
    // A program that says its version, packed as the download is.
    writeFileSync(join(home, 'temporal'), '#!/bin/sh\necho temporal version 1.2.3\n');
    chmodSync(join(home, 'temporal'), 0o755);
    answers = { status: 200, body: execFileSync('tar', ['-czf', '-', '-C', home, 'temporal']) };
    mirror = createServer((request, response) => {
      asked.push(request.url ?? '');
      response.writeHead(answers.status).end(answers.body);
    });
    await new Promise<void>((resolve) => mirror.listen(0, '127.0.0.1', resolve));
  });
  afterEach(() => {
    mirror.close();
    rmSync(home, { recursive: true });
  });

  const environment = (): Record<string, string> => ({
    PATH: '/usr/bin:/bin',
    HOME: home,
    XDG_CACHE_HOME: join(home, 'cache'),
    // A Go that may fetch nothing fails at once.
    GOPROXY: 'off',
    GOPATH: join(home, 'go'),
    LIFEBOAT_TEMPORAL_URL: `http://127.0.0.1:${(mirror.address() as AddressInfo).port}/latest`,
  });

  test('downloads it, once for two set-ups at the same time', async () => {
    const both = await Promise.all([run(environment()), run(environment())]);
    for (const { code, stdout } of both) {
      expect(code).toBe(0);
      expect(stdout).toContain(`Temporal CLI 1.2.3 ${home}/cache/lifeboat/bin/temporal`);
    }
    expect(asked).toHaveLength(1);
    expect(asked[0]).toMatch(/^\/latest\?platform=(linux|darwin)&arch=(amd64|arm64)$/);
    // No lock and no half of a download stays.
    expect(readdirSync(join(home, 'cache', 'lifeboat'))).toEqual(['bin', 'postgresql-17']);
  });

  test('says what is missing, why it is needed and how a person installs it', async () => {
    answers = { status: 404, body: Buffer.alloc(0) };
    const { code, stdout, stderr } = await run(environment());
    expect(code).toBe(1);
    expect(stdout).toContain('no download');
    expect(stderr).toContain('Temporal CLI is needed (its development server runs the workflows)');
    expect(stderr).toContain('go install github.com/temporalio/cli/cmd/temporal@v1.5.1');
    expect(readdirSync(join(home, 'cache', 'lifeboat'))).toEqual(['bin', 'postgresql-17']);
  });

  test('does not take a broken download for the program', async () => {
    answers.body = answers.body.subarray(0, 40);
    expect((await run(environment())).code).toBe(1);
    expect(readdirSync(join(home, 'cache', 'lifeboat', 'bin')).sort()).toEqual(others);
  });

  test('takes over from a set-up that died', async () => {
    const cache = join(home, 'cache', 'lifeboat');
    mkdirSync(join(cache, 'install-dead'));
    writeFileSync(join(cache, 'setup.lock'), execFileSync(process.execPath, ['-p', 'process.pid']));
    expect((await run(environment())).code).toBe(0);
    expect(readdirSync(cache)).toEqual(['bin', 'postgresql-17']);
  });
});

test('a program that Go cannot build is said to be missing, and how a person builds it', async () => {
  const home = mkdtempSync(join(tmpdir(), 'setup-'));
  filledCache(
    home,
    [...others, 'temporal'].filter((one) => one !== 'versitygw'),
  );
  const env = {
    PATH: '/usr/bin:/bin',
    HOME: home,
    XDG_CACHE_HOME: join(home, 'cache'),
    GOPROXY: 'off',
    GOPATH: join(home, 'go'),
  };
  const { code, stderr } = await run(env);
  expect(code).toBe(1);
  expect(stderr).toContain('versitygw is needed (an S3 service in the tests)');
  expect(stderr).toContain('go install github.com/versity/versitygw/cmd/versitygw@');
  expect(readdirSync(join(home, 'cache', 'lifeboat'))).toEqual(['bin', 'postgresql-17']);
  rmSync(home, { recursive: true });
});
