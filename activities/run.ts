import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { createInterface } from 'node:readline';
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Writable } from 'node:stream';
import { asOwner, type Owner } from './as-owner.js';
import { cancelled } from './capability.js';
import { checkpoint } from './checkpoint.js';
import { failure } from './errors.js';
import { inTurn } from './in-turn.js';
import { groupIdentity, leftOfGroup, markVariable } from './processes.js';

export type { Owner };

/** The owner of a file or directory, when we are root and it is somebody else's; PostgreSQL refuses to run as root. */
export async function ownerOf(path: string): Promise<Owner | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const { uid, gid } = await stat(path);
  return uid === 0 ? undefined : { uid, gid };
}

export interface Ledger {
  directory: string;
  name: string;
  /** Its name in the fault walk, the same in every incident. */
  point?: string;
}

export interface RunOptions {
  owner?: Owner | undefined;
  env?: Record<string, string>;
  /** Called with every line of stdout and stderr. */
  onLine?: (line: string) => void;
  /** Exit codes that are an answer and not an error. */
  accept?: number[];
  /** Says of a line that the program is to be ended: it tries for long what cannot succeed. Its code is then 137. */
  endAt?: (line: string) => boolean;
  /** Milliseconds after which it is killed. */
  timeout?: number;
  /**
   * For what changes data: where its process is written down before it begins, so that an agent which comes after a
   * crash first ends what the crashed one left running. Two programs in one directory would be worse than none.
   */
  ledger?: Ledger;
  /** It says nothing for hours while all is well, and whoever runs it watches it otherwise. */
  quiet?: boolean;
  /** What it prints goes to `onLine` alone: it may be larger than memory. */
  discard?: boolean;
  /** Lines of output are kept out of errors: it is the plan author's own command, and may print anything. */
  private?: boolean;
}

export interface RunResult {
  code: number;
  /** stdout and stderr, line by line, the last 2,000 lines. */
  lines: string[];
  stdout: string;
}

/**
 * A program that works on data and says nothing for so long hangs (a mount that is away, a lock): it is ended, and its
 * attempt has failed.
 */
const silenceMilliseconds = 30 * 60_000;

/**
 * Runs a program to its end, in a process group of its own that ends with a cancelled activity.
 * Throws ToolMissing when it is not there, CommandFailed when it exits with a code that is neither 0 nor accepted.
 */
export function run(command: string, args: string[], options: RunOptions = {}): Promise<RunResult> {
  if (!options.ledger) return runNow(command, args, options);
  return inTurn(ledgerFile(options.ledger), () => runNow(command, args, options));
}

/**
 * Holds a program back until its process is written down: a line on the third descriptor lets it begin. When we are
 * killed before, that pipe closes and it never begins.
 * @public test/faults/attempts.test.ts runs it in a process of its own.
 */
export const programGate = 'read -r begin <&3 || exit 75; command -v "$1" >/dev/null || exit 127; exec "$@" 3<&-';

async function runNow(command: string, args: string[], options: RunOptions): Promise<RunResult> {
  const signal = cancelled();
  signal?.throwIfAborted();
  if (options.ledger) await endLeftover(ledgerFile(options.ledger));
  const what = basename(command);
  const point = `${what} ${options.ledger?.point ?? options.ledger?.name ?? ''}`.trim();
  if (options.ledger) await checkpoint(`before ${point}`);
  const mark = randomUUID();
  const gated = options.ledger
    ? { command: '/bin/sh', args: ['-c', programGate, 'lifeboat', command, ...args] }
    : { command, args };
  const as = asOwner(options.owner, gated.command, gated.args);
  const child = spawn(as.command, as.args, {
    stdio: ['ignore', 'pipe', 'pipe', ...(options.ledger ? (['pipe'] as const) : [])],
    detached: true,
    cwd: '/',
    // Programs must speak English to us, whatever the language of the host.
    env: {
      PATH: process.env['PATH'] ?? '/usr/bin:/bin',
      HOME: process.env['HOME'] ?? '/',
      LC_ALL: 'C',
      [markVariable]: mark,
      ...options.env,
    },
    ...as.identity,
  });
  const lines: string[] = [];
  const stdout: string[] = [];
  let isStuck: (error: Error) => void = () => undefined;
  const stuck = new Promise<never>((_, reject) => (isStuck = reject));
  stuck.catch(() => undefined);
  let grace: NodeJS.Timeout | undefined;
  const end = () => {
    endGroup(child.pid);
    // Killed, and it does not end: it waits in the kernel, and whoever waits for it would wait as long.
    grace ??= setTimeout(() => isStuck(hanging(what)), graceMilliseconds);
  };
  const time = { up: false };
  const keep = (line: string, out: boolean) => {
    lines.push(line);
    if (lines.length > 2000) lines.shift();
    silence?.refresh();
    if (out && !options.discard) stdout.push(line);
    options.onLine?.(line);
    if (options.endAt?.(line)) end();
  };
  createInterface({ input: child.stdout! }).on('line', (line) => keep(line, true));
  createInterface({ input: child.stderr! }).on('line', (line) => keep(line, false));
  signal?.addEventListener('abort', end);
  const timeUp = () => {
    time.up = true;
    end();
  };
  const timer = options.timeout ? setTimeout(timeUp, options.timeout) : undefined;
  const silence = options.ledger && !options.quiet ? setTimeout(end, silenceMilliseconds) : undefined;
  const closed = new Promise<number>((resolve, reject) => {
    child.on('error', (error: NodeJS.ErrnoException) => {
      reject(
        error.code === 'ENOENT'
          ? missing(command)
          : failure(
              'CommandFailed',
              `${what} could not be started: ${error.message}`,
              'Look at the log of the agent on this host.',
            ),
      );
    });
    child.on('close', (code, killedBy) => resolve(code ?? 128 + (killedBy === 'SIGKILL' ? 9 : 15)));
  });
  try {
    if (options.ledger && child.pid) {
      await writeLedger(options.ledger, child.pid, mark);
      const begin = child.stdio[3] as Writable;
      // It may have been ended meanwhile; then that is what `closed` says.
      begin.on('error', () => undefined).end('begin\n');
      await checkpoint(`during ${point}`);
    }
    const code = await Promise.race([closed, stuck]);
    if (options.ledger) await rm(ledgerFile(options.ledger), { force: true });
    signal?.throwIfAborted();
    if (as.command !== command && code === 127 && lines.length === 0) throw missing(command);
    if (time.up && code === 137)
      throw failure(
        'CommandFailed',
        `${what} did not end within ${options.timeout! / 1000} s`,
        'Look on the host what it waits for; then retry.',
      );
    if (code !== 0 && !options.accept?.includes(code)) {
      const said = options.private ? 'what it printed is in the log of the agent' : tail(lines);
      if (options.private) console.error(`${what} printed:\n${lines.slice(-20).join('\n')}`);
      throw failure(
        'CommandFailed',
        `${what} ended with code ${code}: ${said}`,
        'Read what it said; then retry, or do it by hand.',
        {
          code,
        },
      );
    }
    if (options.ledger) await checkpoint(`after ${point}`);
    return { code, lines, stdout: stdout.join('\n') };
  } finally {
    clearTimeout(timer);
    clearTimeout(silence);
    clearTimeout(grace);
    signal?.removeEventListener('abort', end);
  }
}

/** The last lines that say something: what a person would read first. */
export function tail(lines: string[], count = 4): string {
  const telling = lines.filter((line) => /ERROR|FATAL|PANIC|error:|fatal|HINT/i.test(line));
  return (telling.length > 0 ? telling : lines).slice(-count).join(' | ').slice(0, 800);
}

const ledgerFile = (ledger: Ledger) => join(ledger.directory, `${ledger.name}.running`);

async function writeLedger(ledger: Ledger, pid: number, mark: string): Promise<void> {
  await mkdir(ledger.directory, { recursive: true });
  await writeFile(ledgerFile(ledger), `${pid} ${mark} ${await groupIdentity(pid)}`);
}

/** Ends everything that a killed agent left running. For the agent that comes next, before it does anything itself. */
export async function endLeftovers(directory: string): Promise<void> {
  const names = await readdir(directory).catch(() => []);
  const running = names.filter((name) => name.endsWith('.running'));
  // One that does not end stays written down: it is only in the way of who wants to run the same.
  for (const ended of await Promise.allSettled(running.map((name) => endLeftover(join(directory, name)))))
    if (ended.status === 'rejected') console.error((ended.reason as Error).message);
}

/** The same for one program, before anything is changed under its hands. */
export const endLeftoverOf = (ledger: Ledger): Promise<void> => endLeftover(ledgerFile(ledger));

/**
 * Ends the process group that an earlier, killed attempt left behind, and waits until all of it is gone: what the
 * program had started may outlive it, and holds its locks as long. A reused PID is not touched. Throws CommandFailed
 * when what was killed does not end.
 */
async function endLeftover(file: string): Promise<void> {
  const text = await readFile(file, 'utf8').catch(() => undefined);
  if (text === undefined) return;
  const [pid, ...rest] = text.split(' ');
  // An older agent wrote no mark.
  const [mark = '', ...identity] = rest.length > 1 ? rest : ['', ...rest];
  const left = () => leftOfGroup(Number(pid), identity.join(' '), mark);
  const began = Date.now();
  for (let now = await left(); now !== 'none'; now = await left()) {
    if (now === 'ours') endGroup(Number(pid));
    const waited = Date.now() - began;
    // What cannot be told to be ours is not waited for as long: it may be somebody's who stays.
    if (now === 'unknown' && waited > unknownMilliseconds) break;
    // It stays written down: nothing may begin under its hands.
    if (waited > graceMilliseconds) throw hanging(`what an earlier attempt left running (process group ${pid})`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await rm(file, { force: true });
}

const unknownMilliseconds = 5000;
/** Milliseconds after which what was killed is believed to hang. */
const graceMilliseconds = 30_000;

const hanging = (what: string) =>
  failure(
    'CommandFailed',
    `${what} was killed and does not end: it hangs on a disk or a mount`,
    'Look at both on the host (dmesg, mount); then retry.',
  );

const missing = (command: string) =>
  failure('ToolMissing', `${basename(command)} is not on this host`, `Install it, then retry. Looked for ${command}.`);

function endGroup(pid: number | undefined): void {
  if (!pid) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It is gone already.
  }
}
