import { execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { processesOf } from '../lab/processes.js';
import { checkout } from '../lab/root.js';
import { tool } from '../lab/tools.js';
import { until } from '../lab/wait.js';

/** The demo as `npm run demo` runs it, without a terminal: its story, its exit code, and that nothing of it is left. */

let temporary: string;
beforeEach(() => {
  // Short: sockets live below it. And open to the user of the databases.
  temporary = mkdtempSync('/tmp/lifeboat-demo-');
  chmodSync(temporary, 0o755);
});
afterEach(() => rmSync(temporary, { recursive: true, force: true }));

interface Demo {
  said: () => string;
  signal: (name: NodeJS.Signals) => void;
  ended: Promise<number | null>;
}

function startDemo(args: string[] = [], path = process.env['PATH']): Demo {
  const child = spawn(process.execPath, [join(checkout, 'dist/lab/demo.js'), ...args], {
    cwd: checkout,
    env: { ...process.env, PATH: path, TMPDIR: temporary, NO_COLOR: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data: Buffer) => (said += data.toString()));
  return {
    said: () => said,
    signal: (name) => child.kill(name),
    ended: new Promise((resolve) => child.once('close', (code) => resolve(code))),
  };
}

const left = () => ({ files: readdirSync(temporary), processes: processesOf(temporary) });
const nothing = { files: [], processes: [] };

test('it tells a true story from the backup to the report, and leaves nothing', async () => {
  const demo = startDemo();
  const code = await demo.ended;
  const said = demo.said();
  expect(code, said).toBe(0);

  // What was there, what was destroyed, and the proof of it.
  const orders = Number(/Now: \d+ customers, (\d+) orders/.exec(said)?.[1]);
  expect(orders).toBe(20_060);
  expect(said).toMatch(/SELECT sum\(total\) FROM orders: ERROR: invalid page in block 0/);
  expect(said).toMatch(/SELECT count\(\*\) FROM payments: ERROR: relation "payments" does not exist/);
  expect(said).toMatch(/GET \/health: 503/);
  // The moment that was found is the one that was restored, and lies before the damage.
  const target = /lifeboat start database-corruption --to (\S+)/.exec(said)![1]!;
  const [good, bad] = ['last good answer', 'first bad answer'].map(
    (what) => new RegExp(`${what} +(\\S+Z)`).exec(said)![1]!,
  );
  expect(target).toBe(good);
  expect(Date.parse(good!)).toBeLessThan(Date.parse(bad!));
  expect(Date.parse(/COMMIT ([^;]+) UTC; rels: base/.exec(said)![1]! + 'Z')).toBeGreaterThan(Date.parse(target));
  // It says that nobody was asked.
  expect(said).toMatch(/the demo approves by itself/);
  // What came of it.
  expect(said).toContain(`orders: ${orders} before the disaster, ${orders} now`);
  expect(said).toMatch(/GET \/health: 200/);
  expect(said).toMatch(/RTO .* \(objective 15m 00s: met\)/);
  expect(said).toMatch(/RPO .* \(objective 5m 00s: met\)/);
  expect(said).toMatch(/data\.quarantine-shop-/);
  expect(said).toMatch(/Temporal's own UI.*http:\/\/127\.0\.0\.1:\d+/);

  const report = /report of the incident, kept: (\S+)/.exec(said)![1]!;
  expect(readFileSync(join(checkout, report), 'utf8')).toMatch(/^<!doctype html>/i);
  for (const kind of ['html', 'md', 'json']) {
    const file = join(checkout, report.replace(/html$/, kind));
    expect(existsSync(file)).toBe(true);
    rmSync(file);
  }
  expect(left()).toEqual(nothing);
});

test.runIf(process.getuid?.() === 0)(
  "with debian, on a cluster of Debian's own programs; those that were there are untouched (needs root)",
  async () => {
    const others = () =>
      execFileSync('pg_lsclusters', ['--no-header'], { encoding: 'utf8' }).replace(
        /^.* lifeboat[0-9a-f]{12} .*\n/gm,
        '',
      );
    const before = others();
    const demo = startDemo(['debian']);
    const code = await demo.ended;
    const said = demo.said();
    expect(code, said).toBe(0);
    const [, version, name] = /cluster (\d+)\/(lifeboat[0-9a-f]{12}), its data at/.exec(said)!;
    expect(said).toMatch(/RTO .* \(objective 15m 00s: met\)/);
    expect(said).toContain("it runs with Debian's own configuration: ssl is on");
    for (const kind of ['html', 'md', 'json'])
      rmSync(join(checkout, /kept: (\S+)/.exec(said)![1]!.replace(/html$/, kind)));
    expect(left()).toEqual(nothing);
    for (const place of [`/etc/postgresql/${version}`, `/var/lib/postgresql/${version}`, '/var/log/postgresql'])
      expect(readdirSync(place).filter((one) => one.includes(name!))).toEqual([]);
    expect(others()).toBe(before);
  },
);

test('it ends with a code of its own when the recovery does not work', async () => {
  const folder = join(temporary, 'bin');
  const real = tool('pgbackrest');
  const fake = join(folder, 'pgbackrest');
  mkdirSync(folder, { mode: 0o755 });
  writeFileSync(
    fake,
    `#!/bin/sh\ncase " $* " in *" restore "*) echo "ERROR: [041]: no such disk" >&2; exit 41;; esac\nexec ${real} "$@"\n`,
  );
  chmodSync(fake, 0o755);
  const demo = startDemo([], `${folder}:${process.env['PATH']}`);
  const code = await demo.ended;
  rmSync(folder, { recursive: true });
  expect(code, demo.said()).toBe(1);
  expect(demo.said()).toMatch(/It did not recover: the incident is waiting\..*no\s+such\s+disk/s);
  expect(left()).toEqual(nothing);
});

test('an argument that is not known is refused, and starts nothing', async () => {
  const demo = startDemo(['fedora']);
  expect(await demo.ended).toBe(2);
  expect(demo.said()).toMatch(/"fedora" is not known[\s\S]*usage: npm run demo/);
  expect(left()).toEqual(nothing);
});

test.each(['SIGINT', 'SIGTERM'] as const)(
  '%s in the middle of the recovery ends and removes everything',
  async (signal) => {
    const demo = startDemo();
    await until('the restore', () => /Restore beside on db1/.test(demo.said()), 90);
    expect(left().processes.length).toBeGreaterThan(5);
    demo.signal(signal);
    expect(await demo.ended, demo.said()).toBe(130);
    expect(left()).toEqual(nothing);
  },
);

test('with --keep it leaves everything running until it is told to stop', async () => {
  const demo = startDemo(['--keep']);
  await until('the end of the story', () => /Look around/.test(demo.said()), 110);
  await until('how to look around', () => /Ctrl-C here stops everything/.test(demo.said()), 10);
  expect(left().processes.length).toBeGreaterThan(5);
  const ui = /Temporal's own UI: (http\S+)/.exec(demo.said())![1]!;
  expect((await fetch(ui)).status).toBe(200);
  demo.signal('SIGINT');
  expect(await demo.ended, demo.said()).toBe(0);
  expect(left()).toEqual(nothing);
  for (const kind of ['html', 'md', 'json'])
    rmSync(join(checkout, /kept: (\S+)/.exec(demo.said())![1]!.replace(/html$/, kind)));
});

test('an unknown option is refused, and starts nothing', async () => {
  const demo = startDemo(['--fast']);
  expect(await demo.ended).toBe(2);
  expect(demo.said()).toMatch(/--fast[\s\S]*usage: npm run demo/);
  expect(left()).toEqual(nothing);
});
