import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createLab, type Lab } from '../../lab/lab.js';
import { checkout } from '../../lab/root.js';

/** What an agent is, beside the work that it does: only one, of its own environment, and never silently frozen. */

const built = (file: string) => pathToFileURL(join(checkout, 'dist/worker', file)).href;
let directory: string;
beforeAll(() => void (directory = mkdtempSync(join(tmpdir(), 'lifeboat-agent-'))));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const node = (code: string, env: Record<string, string> = {}) =>
  spawn(process.execPath, ['--input-type=module', '-e', code], {
    env: { ...process.env, ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });

describe('of agents of one host', { timeout: 900_000 }, () => {
  /**
   * A process that has loaded everything, and asks at a moment (milliseconds since 1970) whether it is the only one
   * with this state directory.
   */
  async function contender(): Promise<{
    child: ChildProcessWithoutNullStreams;
    ask(state: string, at?: number): Promise<string>;
  }> {
    const child = node(`
      import { createInterface } from 'node:readline';
      import { onlyAgent } from ${JSON.stringify(built('only-agent.js'))};
      createInterface({ input: process.stdin }).on('line', (line) => {
        const { state, at } = JSON.parse(line);
        setTimeout(() => onlyAgent({ host: 'db1', state }).then(() => console.log('only'), (error) => console.log(error.message)), at - Date.now());
      });
      console.log('ready');`);
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    expect((await lines.next()).value).toBe('ready');
    const ask = async (state: string, at = Date.now()) => {
      child.stdin.write(`${JSON.stringify({ state, at })}\n`);
      return String((await lines.next()).value);
    };
    return { child, ask };
  }

  test('that start at the same moment one goes on; when it is killed, the next one does', async () => {
    const all = await Promise.all(Array.from({ length: 4 }, contender));
    try {
      let state = '';
      let answers: string[] = [];
      // The moment in which two see nobody is a short one: it is sought a few times.
      for (let left = 5; left > 0; left -= 1) {
        state = mkdtempSync(join(directory, 'state-'));
        const at = Date.now() + 200;
        answers = await Promise.all(all.map(({ ask }) => ask(state, at)));
        expect(answers.filter((answer) => answer === 'only')).toHaveLength(1);
        for (const answer of answers)
          expect(answer).toMatch(/^(only|An agent of db1 runs already on this machine, with PID \d+\.)$/);
      }
      const winner = all[answers.indexOf('only')]!;
      const next = await contender();
      all.push(next);
      winner.child.kill('SIGKILL');
      await once(winner.child, 'exit');
      expect(await next.ask(state)).toBe('only');
    } finally {
      for (const { child } of all) child.kill('SIGKILL');
    }
  });
});

describe('a process whose file operations may hang', { timeout: 900_000 }, () => {
  test('ends aloud, to be started again; one whose files answer lives on', async () => {
    const pipe = join(directory, 'pipe');
    execFileSync('mkfifo', [pipe]);
    const child = node(`
      import { readFile } from 'node:fs/promises';
      import { watchOver } from ${JSON.stringify(built('watchdog.js'))};
      watchOver('agent of db1', '/', 250);
      setInterval(() => undefined, 1000);
      // Longer than it takes to be believed frozen.
      setTimeout(() => {
        console.log('alive');
        for (let left = 4; left > 0; left -= 1) void readFile(${JSON.stringify(pipe)});
      }, 5000);`);
    const said: string[] = [];
    child.stdout.on('data', (data) => said.push(String(data)));
    child.stderr.on('data', (data) => said.push(String(data)));
    const [, killedBy] = (await once(child, 'exit')) as [number, string];
    expect(killedBy).toBe('SIGKILL');
    expect(said[0], 'it lived until then').toBe('alive\n');
    expect(said.join('')).toContain('agent of db1: no file operation has come back');
  });

  test.runIf(existsSync('/usr/bin/systemd-notify'))(
    'tells systemd that it has begun and that they do not hang',
    async () => {
      const socket = join(directory, 'notify');
      const listener = spawn('perl', [
        '-MIO::Socket::UNIX',
        '-e',
        `$| = 1; my $s = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => $ARGV[0]) or die; print "ready\\n"; while (defined $s->recv(my $d, 4096)) { print "$d\\n" if $d }`,
        socket,
      ]);
      const lines = createInterface({ input: listener.stdout })[Symbol.asyncIterator]();
      await lines.next();
      const code = `import { watchOver } from ${JSON.stringify(built('watchdog.js'))}; watchOver('agent', '/', 1000); setInterval(() => undefined, 1000);`;
      const child = node(code, { NOTIFY_SOCKET: socket });
      try {
        const heard = new Set<string>();
        while (!heard.has('READY=1') || !heard.has('WATCHDOG=1')) {
          const { value, done } = await lines.next();
          expect(done, [...heard].join()).not.toBe(true);
          heard.add(String(value));
        }
      } finally {
        child.kill('SIGKILL');
        listener.kill('SIGKILL');
      }
    },
  );
});

describe('the environment that an agent is started in', { timeout: 900_000 }, () => {
  let lab: Lab;
  afterAll(() => lab.stop());

  test('does not reach what it does: settings of libpq, a umask, an address without a route', async () => {
    lab = await createLab({
      ...{ fast: true, service: false, rows: 200 },
      plan: (plan) => {
        // For documentation: nothing answers there, and no name of it does.
        plan.hosts['db1']!.address = '203.0.113.1';
      },
    });
    const umask = process.umask(0o077);
    const hostile = {
      PGSSLMODE: 'verify-full',
      PGSSLNEGOTIATION: 'direct',
      PGOPTIONS: '-c default_transaction_read_only=on -c no_such_setting=1',
      PGHOST: '203.0.113.1',
      PGPORT: '1',
      PGSERVICE: 'none',
      PGPASSFILE: '/nowhere',
      PGCLIENT_ENCODING: 'LATIN1',
      PGBACKREST_STANZA: 'another',
      TMPDIR: '/nowhere',
    };
    try {
      await Promise.all([lab.startControl(hostile), lab.startAgents(undefined, hostile)]);
    } finally {
      process.umask(umask);
    }
    expect(await lab.cli(['backup', 'create', '--full'])).toMatchObject({ code: 0 });
    const [archiver] = await lab.primary.sql<{ archived: string }>(
      'SELECT archived_count::text AS archived FROM pg_stat_archiver',
    );
    expect(Number(archiver!.archived)).toBeGreaterThan(0);
    expect(statSync(join(lab.directory, 'state', lab.system, 'db1')).mode & 0o777).toBe(0o755);
    expect(await lab.cli(['start', 'database-corruption', '--to', 'latest', '--detach'])).toMatchObject({ code: 0 });
    expect(await lab.cli(['watch'])).toMatchObject({ code: 4 });
    expect(readFileSync(join(lab.primary.dataDirectory, 'pg_hba.conf'), 'utf8')).toMatch(/^# Closed by Lifeboat/);
  });
});
