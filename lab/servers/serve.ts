import { mkdirSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { type Child, startChild } from '../child.js';
import { GaveUp, until } from '../wait.js';

/**
 * What every server takes: a directory of the lab for its files, and the environment that makes it a process of that
 * lab.
 */
export interface ServerOptions {
  directory: string;
  env: NodeJS.ProcessEnv;
}

/** Starts a server as a child of the lab and waits until its port answers. Its log is NAME.log in its directory. */
export async function serve(
  name: string,
  options: ServerOptions,
  port: number,
  program: string,
  args: string[],
): Promise<Child> {
  mkdirSync(options.directory, { recursive: true });
  const child = await startChild({
    program,
    args,
    cwd: options.directory,
    env: options.env,
    log: join(options.directory, `${name}.log`),
  });
  await until(
    `${name} answers on port ${port}`,
    () => {
      if (!child.isAlive()) throw new GaveUp(`${name} ended at once:\n${child.tail()}`);
      return answers(port);
    },
    60,
  );
  return child;
}

/** Whether somebody takes a connection to this port now. */
export function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}
