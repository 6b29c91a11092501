import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir, readFile, readlink } from 'node:fs/promises';
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

/** What tells the group that a process leads from a later one of the same number: when it began, and the boot of the machine at which it did. */
export const groupIdentity = async (leader: number): Promise<string> => `${await startOf(leader)} @${await boot()}`;

/**
 * Whether anybody is left of the group that this process led, also when it is gone itself: a number is not given away while a group has it, and whoever
 * has been in it since began later. `identity`: what {@link groupIdentity} said of it.
 */
export async function isGroupLeft(leader: number, identity: string): Promise<boolean> {
  const [start = '', at] = identity.split(' @');
  // One that was written down by an older agent does not say the boot.
  if (leader <= 1 || start === '' || (at !== undefined && at !== (await boot()))) return false;
  const now = await startOf(leader);
  if (now !== '') return now === start;
  return at !== undefined && (await startsOfMembers(leader)).some((one) => one === undefined || one >= Number(start));
}

/** When those began who live in this process group; undefined where nobody can tell. */
async function startsOfMembers(group: number): Promise<(number | undefined)[]> {
  if (!existsSync('/proc/self/stat')) {
    const { stdout } = await promisify(execFile)('ps', ['-axo', 'pgid=,stat=']).catch(() => ({ stdout: '' }));
    return stdout.split('\n').flatMap((line) => (new RegExp(`^\\s*${group}\\s+[^Z]`).test(line) ? [undefined] : []));
  }
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const all = await Promise.all(pids.map(fieldsOf));
  return all.flatMap((fields) => (Number(fields?.[2]) === group ? [Number(fields![19])] : []));
}

/** Who has a file of this directory open, in words for the person on call; nobody, where there is no /proc. */
export async function whoHasOpen(directory: string): Promise<string[]> {
  const pids = (await readdir('/proc').catch((): string[] => [])).filter((name) => /^\d+$/.test(name));
  const said = await Promise.all(
    pids.map(async (pid) => {
      const names = await readdir(`/proc/${pid}/fd`).catch((): string[] => []);
      const files = await Promise.all(names.map((name) => readlink(`/proc/${pid}/fd/${name}`).catch(() => '')));
      if (!files.some((file) => file.startsWith(`${directory}/`))) return [];
      const command = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0').join(' ').trim();
      const [state = '?', parent = '?', group = '?'] = (await fieldsOf(pid)) ?? [];
      return [`process ${pid} (state ${state}, parent ${parent}, group ${group}): ${command.slice(0, 200)}`];
    }),
  );
  return said.flat();
}

/** Names the time since the machine was started last. Source: proc(5), random(4); sysctl(3) of macOS. */
async function boot(): Promise<string> {
  const id = await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => undefined);
  if (id !== undefined) return id.trim();
  const { stdout } = await promisify(execFile)('sysctl', ['-n', 'kern.boottime']).catch(() => ({ stdout: '' }));
  return stdout.trim();
}

/** Whether this very process still lives; without its start nobody can tell, and it counts as gone. */
export const isAlive = async (pid: number, start: string): Promise<boolean> => start !== '' && (await startOf(pid)) === start;
