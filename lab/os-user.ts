import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync } from 'node:fs';

export interface OsUser {
  uid: number;
  gid: number;
}

/**
 * PostgreSQL refuses to run as root: then its processes and directories belong to the user `postgres`; otherwise to who
 * runs the lab.
 */
export const databaseUser: OsUser | undefined = process.getuid?.() === 0 ? lookUp('postgres') : undefined;

/** A directory that the databases can write to. */
export function makeDirectory(path: string, mode = 0o755): string {
  mkdirSync(path, { recursive: true });
  chmodSync(path, mode);
  own(path);
  return path;
}

export function own(path: string): void {
  if (databaseUser) chownSync(path, databaseUser.uid, databaseUser.gid);
}

/** Runs a program of PostgreSQL as that user and returns what it printed; a failure carries what it said. */
export function runAsDatabaseUser(
  program: string,
  args: string[],
  cwd: string,
  env: Record<string, string> = {},
): Promise<string> {
  return new Promise((resolve, reject) => {
    // cwd: the one of root may not be readable to that user, and then PostgreSQL does not find its own path.
    const child = spawn(program, args, {
      cwd,
      env: { PATH: process.env.PATH, LC_ALL: 'C', ...env },
      ...databaseUser,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let out = '';
    let err = '';
    child.stdout.on('data', (data: Buffer) => (out += data.toString()));
    child.stderr.on('data', (data: Buffer) => (err += data.toString()));
    child.once('error', reject);
    child.once('close', (code) =>
      code === 0 ? resolve(out) : reject(new Error(`${program} exited with ${code}: ${err.trim() || out.trim()}`)),
    );
  });
}

function lookUp(user: string): OsUser {
  try {
    const id = (flag: string): number =>
      Number(execFileSync('id', [flag, user], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }));
    return { uid: id('-u'), gid: id('-g') };
  } catch {
    throw new Error(
      `The lab runs as root, and PostgreSQL must not: there is no user "${user}". Run: npm run setup (Debian's package makes it), or run the lab as another user`,
    );
  }
}
