import { hostname } from 'node:os';
import { startOf } from '../../processes.js';
import { run } from '../../run.js';
import type { Location } from '../../locations/location.js';
import { inRepository, type Repository } from './repository.js';

/**
 * A lock, as restic writes it (restic's design document, "Locks"). A living process writes its lock anew every five
 * minutes.
 */
interface Lock {
  time: string;
  exclusive: boolean;
  hostname: string;
  pid: number;
}

/** restic's own figure: five refreshes and more were missed. */
const staleAfter = 30 * 60_000;

/**
 * Removes the locks of processes that are dead. Not by `restic unlock`: it finds out by sending SIGHUP to whatever
 * process has that number now, and after a restart of the host that may be anything.
 */
export async function removeDeadLocks(repository: Repository, location: Location): Promise<void> {
  for (const { name } of await location.list(inRepository('locks/'))) {
    const lock = await readLock(repository, name);
    if (lock && (await isDead(lock))) await location.remove(name);
  }
}

async function readLock({ args, env }: Repository, name: string): Promise<Lock | undefined> {
  const id = name.slice(name.lastIndexOf('/') + 1);
  const { code, stdout } = await run('restic', [...args, '--no-lock', 'cat', 'lock', id], { env, accept: anyCode });
  // It was released meanwhile, or is being written.
  if (code !== 0) return undefined;
  return JSON.parse(stdout) as Lock;
}

async function isDead(lock: Lock): Promise<boolean> {
  if (Date.now() - Date.parse(lock.time) > staleAfter) return true;
  return lock.hostname === hostname() && !(await isRestic(lock.pid));
}

/** A zombie is dead, and another program that got the number is not the one that locked. */
async function isRestic(pid: number): Promise<boolean> {
  if ((await startOf(pid)) === '') return false;
  const { stdout } = await run('ps', ['-o', 'comm=', '-p', String(pid)], { accept: [1] });
  return /(^|\/)restic/.test(stdout.trim());
}

export const anyCode = Array.from({ length: 255 }, (_, code) => code + 1);
