import { readFile } from '../files.js';

/**
 * Where file systems are mounted, as the kernel lists it; none where there is no such list. Source: proc(5),
 * /proc/PID/mountinfo.
 */
async function mounts(): Promise<string[]> {
  const text = await readFile('/proc/self/mountinfo', 'utf8').catch(() => '');
  return text
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter(Boolean)
    .map((path) => path.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8))));
}

/**
 * A directory that is mounted over another one of the same file system has no device of its own: only the list of
 * mounts says so.
 */
export const isMounted = async (real: string): Promise<boolean> => (await mounts()).includes(real);

/** The mount point that a path is below; undefined where there is no list. */
export async function mountOf(path: string): Promise<string | undefined> {
  const above = (await mounts()).filter((mount) => mount === '/' || path === mount || path.startsWith(`${mount}/`));
  return above.sort((a, b) => b.length - a.length)[0];
}
