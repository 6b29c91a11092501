import { join } from 'node:path';
import { startChild, type Child } from './child.js';
import { polled, type QueueKind } from './pollers.js';
import { cliEntry } from './root.js';
import { GaveUp } from './wait.js';

/** An agent, a control worker, or both in one. */
export interface LabProcess {
  name: string;
  pid(): number;
  isAlive(): boolean;
  log: string;
  tail(lines?: number): string;
  stop(): Promise<void>;
  kill9(): Promise<void>;
  /** Kills it if need be, starts it, and waits until it polls its queues. */
  restart(env?: Record<string, string>): Promise<void>;
}

export type Queue = [name: string, kind: QueueKind];

export interface WorkerOptions {
  /** Of the log, too. */
  name: string;
  /** Of the command-line client. */
  args: string[];
  /** It is there once it polls all of them. */
  queues: Queue[];
  directory: string;
  temporalAddress: string;
  env: Record<string, string>;
}

/** Starts one of Lifeboat's own processes, as it was built, and waits until it is ready for work. */
export async function startWorker({
  name,
  args,
  queues,
  directory,
  temporalAddress,
  env,
}: WorkerOptions): Promise<LabProcess> {
  const log = join(directory, 'logs', `${name}.log`);
  const start = async (more: Record<string, string>): Promise<Child> => {
    const since = new Date();
    const child = await startChild({
      program: process.execPath,
      args: [cliEntry, ...args],
      cwd: directory,
      env: { ...env, ...more },
      log,
    });
    const alive = (): void => {
      if (!child.isAlive()) throw new GaveUp(`${name} ended at once:\n${child.tail()}`);
    };
    await Promise.all(queues.map(([queue, kind]) => polled(temporalAddress, queue, kind, since, alive)));
    return child;
  };
  let child = await start({});
  return {
    name,
    log,
    pid: () => child.pid,
    isAlive: () => child.isAlive(),
    tail: (lines) => child.tail(lines),
    stop: () => child.stop(),
    kill9: () => child.kill9(),
    async restart(more = {}) {
      if (child.isAlive()) await child.kill9();
      child = await start(more);
    },
  };
}
