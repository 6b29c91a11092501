import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { dropDebianClusters } from './debian.js';
import { isAlive, processesOf, signal, startOf } from './processes.js';

/**
 * A lab leaves nothing behind, however the process that made it ends: in order, by a signal, or killed (then the next
 * lab sweeps).
 */

const prefix = 'lifeboat-lab-';
const ownerFile = 'owner.pid';
const open = new Set<string>();
const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Sockets live below it, and their paths may have about 100 characters. */
const parent = (): string => realpathSync(tmpdir().length < 40 && existsSync(tmpdir()) ? tmpdir() : '/tmp');

/** A new directory of a lab, after the remains of labs whose owners died were swept. */
export function makeLabDirectory(): string {
  sweep();
  const directory = mkdtempSync(join(parent(), prefix));
  writeFileSync(join(directory, ownerFile), [process.pid, startOf(process.pid), pidNamespace()].join('\n'));
  // mkdtemp makes it private, and the user of the databases must get through.
  chmodSync(directory, 0o755);
  if (open.size === 0) listen();
  open.add(directory);
  return directory;
}

/**
 * Ends everything of the lab, at once, and removes its directory. Synchronous, so that it can run while the process
 * exits.
 */
export function destroyLab(directory: string, keep = false): void {
  endProcesses(directory);
  removeSharedMemory(directory);
  dropDebianClusters(directory);
  // A kept one has no owner any more, so no sweep takes it.
  rmSync(keep ? join(directory, ownerFile) : directory, {
    recursive: true,
    force: true,
    maxRetries: 5,
    retryDelay: 50,
  });
  open.delete(directory);
  if (open.size === 0) unlisten();
}

/** Removes labs whose owner is dead. */
export function sweep(): void {
  for (const entry of readdirSync(parent()).filter((name) => name.startsWith(prefix))) {
    const directory = join(parent(), entry);
    try {
      const [pid, start, namespace] = readFileSync(join(directory, ownerFile), 'utf8').split('\n');
      if (Number(pid) > 0 && namespace === pidNamespace() && !isAlive(Number(pid), start)) destroyLab(directory);
    } catch {
      // Not a lab of ours, one that is being made or removed this instant, or one that was kept on purpose.
    }
  }
}

/** Containers may share a temporary directory, and in each of them a pid means another process. */
function pidNamespace(): string {
  return existsSync('/proc/self/ns/pid') ? readlinkSync('/proc/self/ns/pid') : '';
}

function endProcesses(directory: string): void {
  let left = processesOf(directory);
  for (let round = 0; left.length > 0; round += 1) {
    if (round > 200)
      throw new Error(
        `these processes of ${directory} do not end:\n${left.map((one) => `${one.pid} ${one.command}`).join('\n')}`,
      );
    const postmasters = pidFiles(directory).map((file) => Number(readFileSync(file, 'utf8').split('\n')[0]));
    for (const { pid } of left) {
      // A server of PostgreSQL that is asked first gives its shared memory back, and takes its own children along.
      if (postmasters.includes(pid) && round < 100) {
        if (round === 0) signal(pid, 'SIGQUIT');
      } else if (round === 0 || round > 20) {
        signal(pid, 'SIGKILL');
      }
    }
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 25);
    left = processesOf(directory);
  }
}

/** Pid files that a killed server left behind name the segment of shared memory that it left, too. */
function removeSharedMemory(directory: string): void {
  for (const file of pidFiles(directory)) {
    const segment = /^\s*\d+\s+(\d+)\s*$/.exec(readFileSync(file, 'utf8').split('\n')[6] ?? '')?.[1];
    if (!segment) continue;
    try {
      execFileSync('ipcrm', ['-m', segment], { stdio: 'ignore' });
    } catch {
      // Gone already, by the restart of that server.
    }
  }
}

function pidFiles(directory: string): string[] {
  return list(directory)
    .flatMap((host) => list(host))
    .map((data) => join(data, 'postmaster.pid'))
    .filter((file) => existsSync(file));
}

function list(directory: string): string[] {
  try {
    return statSync(directory).isDirectory() ? readdirSync(directory).map((entry) => join(directory, entry)) : [];
  } catch {
    return [];
  }
}

function destroyAll(): void {
  for (const directory of [...open]) {
    try {
      destroyLab(directory, kept.has(directory));
    } catch (error) {
      console.error(error);
    }
  }
}

const kept = new Set<string>();
/** The processes end with us all the same; the directory stays. */
export const keepDirectory = (directory: string): unknown => kept.add(directory);

function onSignal(name: NodeJS.Signals): void {
  destroyAll();
  unlisten();
  // Die of the signal, as we would have without the lab; unless the program has a say in it.
  if (process.listenerCount(name) === 0) process.kill(process.pid, name);
}

function listen(): void {
  process.on('exit', destroyAll);
  for (const name of signals) process.on(name, onSignal);
}

function unlisten(): void {
  process.off('exit', destroyAll);
  for (const name of signals) process.off(name, onSignal);
}
