import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import type { OsUser } from './os-user.js';
import { isAlive, signal, startOf } from './processes.js';
import { compiled } from './root.js';
import { within } from './wait.js';

/** A process that the lab started, in a group of its own, writing to a log. */
export interface Child {
  pid: number;
  log: string;
  isAlive(): boolean;
  /** SIGTERM; SIGKILL when it has not ended after `seconds`. */
  stop(seconds?: number): Promise<void>;
  /** SIGKILL to it and everything it started: the machine is gone. */
  kill9(): Promise<void>;
  /** The end of its log, for the message of an error. */
  tail(lines?: number): string;
}

export interface ChildOptions {
  program: string;
  args: string[];
  cwd: string;
  env: NodeJS.ProcessEnv;
  log: string;
  user?: OsUser | undefined;
}

export async function startChild(options: ChildOptions): Promise<Child> {
  const log = openSync(options.log, 'a', 0o644);
  // Not unref'ed streams but a file: the log outlives this process, and the child never blocks on it.
  const child = spawn(options.program, options.args, {
    cwd: options.cwd,
    env: { ...compiled, ...options.env },
    stdio: ['ignore', log, log],
    detached: true,
    ...options.user,
  });
  closeSync(log);
  await new Promise<void>((resolve, reject) => child.once('spawn', resolve).once('error', reject));
  child.unref();
  const pid = child.pid!;
  const start = startOf(pid);
  const alive = (): boolean => start !== undefined && isAlive(pid, start);
  const gone = (seconds: number): Promise<boolean> =>
    within(`the end of ${basename(options.program)} (pid ${pid})`, () => !alive(), seconds, 10);
  const kill9 = async (): Promise<void> => {
    signal(-pid, 'SIGKILL');
    await gone(60);
  };
  return {
    pid,
    log: options.log,
    isAlive: alive,
    kill9,
    tail: (lines = 20) => tail(options.log, lines),
    async stop(seconds = 15) {
      if (!alive()) return;
      signal(pid, 'SIGTERM');
      await gone(seconds).catch(kill9);
    },
  };
}

export function tail(file: string, lines = 20): string {
  try {
    return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-lines).join('\n');
  } catch {
    return '';
  }
}
