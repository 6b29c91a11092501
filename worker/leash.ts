import { spawn, type ChildProcess } from 'node:child_process';
import type { Duplex } from 'node:stream';

/**
 * Waits beside the program until the pipe on the third descriptor closes, and kills it then. The pipe's other end is in
 * the process that starts it, and closes with it, however that ends.
 */
const leash = '(read -r end <&3; kill -9 $$) 2>/dev/null & exec "$@" 3<&-';

/**
 * Starts a program, in a process group of its own, that does not outlive this process. What was killed with us, whoever
 * comes next can start anew.
 */
export function startOnLeash(
  command: string,
  args: string[],
  env: NodeJS.ProcessEnv,
  output: 'inherit' | number = 'inherit',
): ChildProcess {
  const child = spawn('/bin/sh', ['-c', leash, 'lifeboat', command, ...args], {
    env,
    stdio: ['ignore', output, output, 'pipe'],
    detached: true,
  });
  child.once('exit', () => (child.stdio[3] as Duplex | null)?.destroy());
  return child;
}
