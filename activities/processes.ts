import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { promisify } from 'node:util';

/**
 * When a process began, as an opaque text: together with its PID it names one process for ever. Empty when there is
 * none, or only a whole zombie, which is dead.
 */
export async function startOf(pid: number): Promise<string> {
  if (existsSync('/proc/self/stat')) {
    return (await fieldsOf(pid))?.[19] ?? '';
  }
  const env = { ...process.env, LC_ALL: 'C' };
  const { stdout } = await promisify(execFile)('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], { env }).catch(() => ({
    stdout: '',
  }));
  const [state = '', ...start] = stdout.trim().split(/\s+/);
  return state.startsWith('Z') ? '' : start.join(' ');
}

/**
 * What the kernel says of a process that lives, from its state on; undefined of one that does not. Source: proc(5),
 * /proc/PID/stat.
 */
async function fieldsOf(pid: number | string): Promise<string[] | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => '');
  // The second field is the program's name in parentheses and may hold anything, so fields are counted from its end.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return text === '' || isDead(fields) ? undefined : fields;
}

/**
 * A process of several threads is a zombie as soon as its first one has ended: until the last one has, its files, locks
 * and ports are still its. The 18th field is the number of threads.
 */
const isDead = (fields: string[]): boolean => fields[0] === 'X' || (fields[0] === 'Z' && Number(fields[17]) <= 1);

/** Set in the environment of what is written down, to be known again by what it started. */
export const markVariable = 'LIFEBOAT_MARK';

/**
 * What tells the group that a process leads from a later one of the same number: when it began, and the boot of the
 * machine at which it did.
 */
export const groupIdentity = async (leader: number): Promise<string> => `${await startOf(leader)} @${await boot()}`;

/**
 * What is left of the group that this process led, also when it is gone itself: a number is not given away while a
 * group has it, but it may have been since. `ours`: to be ended. `unknown`: nobody can tell whose it is, or it is
 * ending already. `identity`: what {@link groupIdentity} said of it; `mark`: the value of its {@link markVariable}.
 */
export async function leftOfGroup(
  leader: number,
  identity: string,
  mark: string,
): Promise<'ours' | 'unknown' | 'none'> {
  const [start = '', at] = identity.split(' @');
  // One that was written down by an older agent does not say the boot.
  if (leader <= 1 || start === '' || (at !== undefined && at !== (await boot()))) return 'none';
  const now = await startOf(leader);
  if (now !== '') return now === start ? 'ours' : 'none';
  const members = await membersOf(leader);
  if (members.length === 0) return 'none';
  const marked = await Promise.all(members.map((pid) => hasMark(pid, mark)));
  if (marked.includes(true)) return 'ours';
  return marked.includes(undefined) ? 'unknown' : 'none';
}

/** Of the processes that there are now; none, where there is no /proc. */
const allPids = async (): Promise<string[]> =>
  (await readdir('/proc').catch((): string[] => [])).filter((name) => /^\d+$/.test(name));

async function membersOf(group: number): Promise<number[]> {
  if (!existsSync('/proc/self/stat')) {
    const { stdout } = await promisify(execFile)('ps', ['-axo', 'pid=,pgid=,stat=']).catch(() => ({ stdout: '' }));
    return stdout.split('\n').flatMap((line) => {
      const [pid, of, state = ''] = line.trim().split(/\s+/);
      return Number(of) === group && !state.startsWith('Z') ? [Number(pid)] : [];
    });
  }
  const all = await Promise.all(
    (await allPids()).map(async (pid) => ({ pid: Number(pid), fields: await fieldsOf(pid) })),
  );
  return all.flatMap(({ pid, fields }) => (Number(fields?.[2]) === group ? [pid] : []));
}

/**
 * Undefined where that cannot be read, and of a process that is ending: it has no memory any more. Source: proc(5),
 * /proc/PID/environ.
 */
async function hasMark(pid: number, mark: string): Promise<boolean | undefined> {
  const text = await readFile(`/proc/${pid}/environ`, 'latin1').catch(() => '');
  if (text === '') return undefined;
  return mark !== '' && text.split('\0').includes(`${markVariable}=${mark}`);
}

/** Who has a file of this directory open, in words for the person on call; nobody, where there is no /proc. */
export async function whoHasOpen(directory: string): Promise<string[]> {
  const said = await Promise.all(
    (await allPids()).map(async (pid) => {
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
export const isAlive = async (pid: number, start: string): Promise<boolean> =>
  start !== '' && (await startOf(pid)) === start;
