import { createHash } from 'node:crypto';
import { closeSync, mkdirSync, openSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join, resolve } from 'node:path';
import { stringify } from 'yaml';
import { stateRoot } from '../activities/context.js';
import { type LoadedPlan, loadPlan } from '../plan/load.js';
import type { PlanFile } from '../plan/schema.js';
import { underWay, untilBrokenOff } from './broken-off.js';
import { onlyOne } from './only-one.js';
import { Expected, exitCodes } from './output.js';

/**
 * Backups of one database on one machine without a plan file: the variables of the environment are the plan (FL-19).
 */

const host = 'localhost';

/**
 * Writes the plan that the environment stands for, runs everything that it needs (Temporal, control worker, agent) for
 * as long as `work` does, and hands `work` the plan. What a killed command left half-way goes on with the next one on
 * the same database and directory, which says so; what was broken off by a person does not. Throws {@link Expected} for
 * bad values, and while another such command runs.
 */
export async function withoutPlan(env: NodeJS.ProcessEnv, work: (plan: LoadedPlan) => Promise<void>): Promise<void> {
  const { directory, plan, key } = planOf(env);
  const home = join(stateRoot(env), 'no-plan', key);
  const state = join(home, digestOf(directory));
  mkdirSync(state, { recursive: true, mode: 0o700 });
  const unlock = await onlyOne(join(home, 'command.pid'));
  try {
    makeBackupDirectory(directory);
    const path = join(state, 'lifeboat.yaml');
    writeFileSync(
      path,
      `# Written from DATABASE_URL, BACKUP_DIR and their like; changes made here are lost.\n${stringify(plan)}`,
      {
        mode: 0o600,
      },
    );
    const loaded = await loadPlan(path);
    const up = await startUp(path, state, env);
    try {
      const left = await underWay(loaded);
      if (left.length > 0)
        process.stderr.write(`Of a command that was killed, this goes on meanwhile: ${left.join('; ')}\n`);
      await untilBrokenOff(loaded, () => work(loaded));
    } finally {
      await up.stop();
    }
  } finally {
    unlock();
  }
}

/**
 * The plan that the environment stands for. `key`: under what its state is kept. A killed restore must never go on in
 * the database of that name on another server. Exported for its test. Throws {@link Expected} when a value cannot be.
 */
export function planOf(env: NodeJS.ProcessEnv): { name: string; directory: string; key: string; plan: PlanFile } {
  const database = databaseName(env['DATABASE_URL'] ?? '');
  const directory = resolve(env['BACKUP_DIR'] || './backups');
  const days = env['BACKUP_RETENTION_DAYS'] || '30';
  if (!/^[1-9]\d*$/.test(days))
    throw new Expected(
      `BACKUP_RETENTION_DAYS is "${days}": not a number of days.`,
      'For example: export BACKUP_RETENTION_DAYS=30',
    );
  const compression = (env['BACKUP_COMPRESSION'] || 'true').toLowerCase();
  if (!['true', 'false'].includes(compression))
    throw new Expected(
      `BACKUP_COMPRESSION is "${compression}": neither true nor false.`,
      'For example: export BACKUP_COMPRESSION=true',
    );
  const component = nameOf(database);
  return {
    name: component,
    directory,
    key: `${component}-${digestOf(`${serverOf(env['DATABASE_URL'] ?? '')} ${database}`)}`,
    plan: {
      system: 'local',
      timezone: Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC',
      objectives: { rto: '4h', rpo: '24h' },
      hosts: { [host]: { region: 'here', address: '127.0.0.1' } },
      locations: { backups: { directory } },
      databases: {
        [component]: {
          name: database,
          postgres: { primary: host, url: 'env:DATABASE_URL' },
          backups: {
            logical: { locations: ['backups'], compression: compression === 'true', keep: { for: `${days}d` } },
          },
        },
      },
    },
  };
}

function databaseName(url: string): string {
  const wrong = (why: string) =>
    new Expected(`DATABASE_URL ${why}.`, 'It looks like this: postgres://user:password@host:5432/name');
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    throw wrong('is not a URL');
  }
  if (!/^postgres(ql)?:$/.test(parsed.protocol)) throw wrong('does not begin with postgres://');
  let name: string;
  try {
    name = decodeURIComponent(parsed.pathname.slice(1)) || decodeURIComponent(parsed.username);
    decodeURIComponent(parsed.password);
  } catch {
    throw wrong('has a % that begins no escape; a % itself is written %25');
  }
  if (!name) throw wrong('names no database');
  return name;
}

/** A name that a plan allows; of an odd one, with what keeps it apart from others like it. */
function nameOf(database: string): string {
  if (/^[A-Za-z][A-Za-z0-9_-]{0,62}$/.test(database)) return database;
  const plain = database
    .replace(/[^A-Za-z0-9_-]+/g, '-')
    .replace(/^[^A-Za-z]+/, '')
    .slice(0, 40);
  return `${plain || 'database'}-${digestOf(database)}`;
}

const digestOf = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 8);

function serverOf(text: string): string {
  const { hostname, port, searchParams } = new URL(text);
  const of = (name: string) => searchParams.get(name) ?? '';
  return [hostname, of('host'), of('hostaddr'), port || of('port') || '5432'].join(' ');
}

/** BACKUP_DIR is made when the directory above it is there: a mount that is away must not be filled. */
function makeBackupDirectory(directory: string): void {
  if (isDirectory(directory)) return;
  if (!isDirectory(dirname(directory)))
    throw new Expected(
      `BACKUP_DIR cannot be made: ${dirname(directory)} is not there.`,
      'Is its disk mounted? Or: export BACKUP_DIR=/another/place',
    );
  mkdirSync(directory, { mode: 0o700 });
}

const isDirectory = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;

/**
 * `lifeboat up` as a child that cannot outlive this process; what it says goes to a log. Returns when everything polls.
 */
async function startUp(path: string, state: string, env: NodeJS.ProcessEnv): Promise<{ stop(): Promise<void> }> {
  const address = `127.0.0.1:${await freePort()}`;
  const log = join(state, 'up.log');
  const output = openSync(log, 'w', 0o600);
  Object.assign(process.env, { TEMPORAL_ADDRESS: address, TEMPORAL_NAMESPACE: 'default' });
  const args = [process.argv[1]!, '--plan', path, 'up', '--host', host, '--ui-port', String(await freePort())];
  const { startOnLeash } = await import('../worker/leash.js');
  // Its own Temporal, with its own file: other databases are backed up at the same time.
  const own = { LIFEBOAT_STATE_DIR: state, TEMPORAL_ADDRESS: address, TEMPORAL_NAMESPACE: 'default' };
  const child = startOnLeash(process.execPath, args, { ...env, ...own }, output);
  closeSync(output);
  const over = new AbortController();
  const ended = new Promise<void>((done) =>
    child.once('exit', () => {
      over.abort();
      done();
    }),
  );
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
    await ended;
  };
  try {
    await untilReady(log, over.signal);
  } catch (error) {
    await stop();
    const said = linesOf(log).at(-1)?.message ?? '';
    throw new Expected(
      `What backups need on this machine did not start: ${(error as Error).message}. ${said}`,
      `Read ${log}.`,
      exitCodes.noAnswer,
    );
  }
  return { stop };
}

/** Waits until the control worker and the agent say that they are ready. */
async function untilReady(log: string, ended: AbortSignal): Promise<void> {
  const deadline = Date.now() + 120_000;
  for (;;) {
    const ready = linesOf(log).flatMap(({ process: part, message }) => (message.startsWith('ready (') ? [part] : []));
    if (['control worker', `agent of ${host}`].every((part) => ready.includes(part))) return;
    if (ended.aborted) throw new Error('it ended at once');
    if (Date.now() > deadline) throw new Error('it did not come up within two minutes');
    await new Promise((wait) => setTimeout(wait, 50));
  }
}

/** What `lifeboat up` and its parts say (worker/log.ts); what a program beside them printed is a message, too. */
function linesOf(log: string): { process: string; message: string }[] {
  return readFileSync(log, 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => {
      try {
        return JSON.parse(line) as { process: string; message: string };
      } catch {
        return { process: '', message: line };
      }
    });
}

function freePort(): Promise<number> {
  return new Promise((done, failed) => {
    const server = createServer();
    server.once('error', failed);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => done(port));
    });
  });
}
