import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { basename } from 'node:path';

/**
 * What the lab must know of processes. It imports nothing of the lab: the service, a script of its own, uses it too.
 */

/**
 * When the process began, as an opaque text: together with the pid it names one process for ever.
 * Undefined when there is none, or only a whole zombie, which is dead.
 */
export function startOf(pid: number): string | undefined {
  try {
    if (existsSync('/proc/self/stat')) {
      // The second field is the program's name in parentheses and may hold anything, so fields are counted from its
      // end.
      const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
      const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
      return isDead(fields) ? undefined : fields[19];
    }
    const [state, ...start] = execFileSync('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], { encoding: 'utf8' })
      .trim()
      .split(/\s+/);
    return state?.startsWith('Z') ? undefined : start.join(' ');
  } catch {
    return undefined;
  }
}

/**
 * A process of several threads is a zombie as soon as its first one has ended: until the last one has, its files and
 * ports are still taken.
 * Source: proc(5), /proc/PID/stat, of which these are the fields from the state on: the 18th is the number of threads.
 */
const isDead = (fields: string[]): boolean => fields[0] === 'X' || (fields[0] === 'Z' && Number(fields[17]) <= 1);

/** `start` guards against a pid that the system has given to another process since. */
export function isAlive(pid: number, start?: string): boolean {
  const found = startOf(pid);
  return found !== undefined && (start === undefined || start === found);
}

/** Signals a process, or with a negative pid its group; one that is gone already is no error. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Every living process, with its parent. */
export function processes(): { pid: number; parent: number; command: string }[] {
  if (!existsSync('/proc/self/stat')) {
    return execFileSync('ps', ['-axo', 'pid=,ppid=,stat=,command='], { encoding: 'utf8', maxBuffer: 1 << 26 })
      .split('\n')
      .map((line) => /^\s*(\d+)\s+(\d+)\s+(\S+)\s+(.*)$/.exec(line))
      .filter((match) => match && !match[3]!.startsWith('Z'))
      .map((match) => ({ pid: Number(match![1]), parent: Number(match![2]), command: match![4]! }));
  }
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .flatMap((entry) => {
      try {
        const stat = readFileSync(`/proc/${entry}/stat`, 'latin1');
        const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
        if (state === 'Z' || state === 'X') return [];
        return [
          {
            pid: Number(entry),
            parent: Number(parent),
            command: readFileSync(`/proc/${entry}/cmdline`, 'utf8').replaceAll('\0', ' '),
          },
        ];
      } catch {
        return [];
      }
    });
}

export function childrenOf(pid: number): number[] {
  return processes()
    .filter((one) => one.parent === pid)
    .map((one) => one.pid);
}

/** The variable that marks everything that a lab starts, and what that starts in turn. */
export const labVariable = 'LIFEBOAT_LAB';

const programsOfALab = /^(postgres|pg_\w+|initdb|psql|pgbackrest|node|temporal|redis-[\w-]+|sshd)$/;

/**
 * What still runs of the lab in this directory: processes that carry its mark, or programs of it that work in its
 * directory (PostgreSQL, Redis and sshd overwrite their environment with their title, so the mark alone would miss
 * them).
 */
export function processesOf(labDirectory: string): { pid: number; command: string }[] {
  return processes().filter(({ pid, command }) => {
    if (pid === process.pid) return false;
    if (!existsSync('/proc/self/stat')) return command.includes(`${labDirectory}/`);
    const environment = attempt(() => readFileSync(`/proc/${pid}/environ`, 'utf8')) ?? '';
    if (environment.split('\0').includes(`${labVariable}=${labDirectory}`)) return true;
    const program = basename(attempt(() => readlinkSync(`/proc/${pid}/exe`)) ?? '').replace(/ \(deleted\)$/, '');
    if (!programsOfALab.test(program)) return false;
    const cwd = attempt(() => readlinkSync(`/proc/${pid}/cwd`)) ?? '';
    return cwd.startsWith(`${labDirectory}/`) || command.includes(`${labDirectory}/`);
  });
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
