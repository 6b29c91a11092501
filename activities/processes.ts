import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { promisify } from 'node:util';

/**
 * When a process began, as an opaque text: together with its PID it names one process for ever. Empty when there is none, or only a whole
 * zombie, which is dead.
 */
export async function startOf(pid: number): Promise<string> {
  if (existsSync('/proc/self/stat')) {
    return (await fieldsOf(pid))?.[19] ?? '';
  }
  const env = { ...process.env, LC_ALL: 'C' };
  const { stdout } = await promisify(execFile)('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], { env }).catch(() => ({ stdout: '' }));
  const [state = '', ...start] = stdout.trim().split(/\s+/);
  return state.startsWith('Z') ? '' : start.join(' ');
}

/** What the kernel says of a process that lives, from its state on; undefined of one that does not. Source: proc(5), /proc/PID/stat. */
async function fieldsOf(pid: number | string): Promise<string[] | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => '');
  // The second field is the program's name in parentheses and may hold anything, so fields are counted from its end.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return text === '' || isDead(fields) ? undefined : fields;
}

/**
 * A process of several threads is a zombie as soon as its first one has ended: until the last one has, its files, locks and ports are still its.
 * The 18th field is the number of threads.
 */
const isDead = (fields: string[]): boolean => fields[0] === 'X' || (fields[0] === 'Z' && Number(fields[17]) <= 1);

/** Whether anybody lives in this process group, its leader or not. */
export async function hasMembers(group: number): Promise<boolean> {
  if (!existsSync('/proc/self/stat')) {
    const { stdout } = await promisify(execFile)('ps', ['-axo', 'pgid=,stat=']).catch(() => ({ stdout: '' }));
    return stdout.split('\n').some((line) => new RegExp(`^\\s*${group}\\s+[^Z]`).test(line));
  }
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const all = await Promise.all(pids.map(fieldsOf));
  return all.some((fields) => Number(fields?.[2]) === group);
}

/** Whether this very process still lives; without its start nobody can tell, and it counts as gone. */
export const isAlive = async (pid: number, start: string): Promise<boolean> => start !== '' && (await startOf(pid)) === start;
