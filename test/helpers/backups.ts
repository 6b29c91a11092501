import { createHash, randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type { HostContext } from '../../activities/context.js';
import { planSchema, type PlanFile } from '../../plan/schema.js';
import { destroyLab, makeLabDirectory } from '../../lab/cleanup.js';
import { labVariable } from '../../lab/processes.js';

/**
 * A directory for servers and files of a test, which ends with it; and hosts with a plan of their own, without agents
 * and Temporal.
 */
export interface Ground {
  directory: string;
  path(...parts: string[]): string;
  /** What makes a process one of this lab. */
  env: NodeJS.ProcessEnv;
  destroy(): void;
}

export function makeGround(): Ground {
  const directory = makeLabDirectory();
  return {
    directory,
    path: (...parts) => join(directory, ...parts),
    env: { ...process.env, [labVariable]: directory },
    destroy: () => destroyLab(directory),
  };
}

let hosts = 0;

/** A host whose agent has this plan, with a state directory of its own. */
export function hostWith(ground: Ground, plan: Partial<PlanFile>, host = 'app1'): HostContext {
  const state = ground.path(`state-${(hosts += 1)}`, host);
  mkdirSync(state, { recursive: true });
  const whole = planSchema.parse({
    system: 'shop',
    objectives: { rto: '1h', rpo: '5m' },
    hosts: { [host]: { region: 'here' } },
    locations: {},
    databases: {},
    ...plan,
  });
  return { plan: whole, planDirectory: ground.directory, planDigest: '', host, state };
}

/** What a tree is: by path, its type, mode, owner, time and content. */
export function treeOf(root: string): Record<string, string> {
  const found: Record<string, string> = {};
  const into = (path: string, shown: string): void => {
    const { mode, uid, gid, mtimeMs } = lstatSync(path);
    const kind = lstatSync(path).isDirectory()
      ? 'directory'
      : lstatSync(path).isSymbolicLink()
        ? readlinkSync(path)
        : digestOf(path);
    found[shown] = `${mode.toString(8)} ${uid}:${gid} ${Math.floor(mtimeMs)} ${kind}`;
    if (kind === 'directory') for (const name of readdirSync(path)) into(join(path, name), `${shown}/${name}`);
  };
  if (existsSync(root)) into(root, '');
  return found;
}

export const digestOf = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex');

/** Uploads with all that a file system allows, about `bytes` of them. */
export function makeUploads(path: string, bytes: number): string {
  mkdirSync(join(path, 'a folder', 'größe ☕'), { recursive: true });
  mkdirSync(join(path, 'empty'), { recursive: true });
  for (let n = 0; n < 4; n += 1) writeFileSync(join(path, 'a folder', `part ${n}`), randomBytes(bytes / 4));
  const odd = ['-rf', 'it\'s "quoted"', 'semi;colon$(x)', '[a-z]*?', 'größe ☕/日本', '.env', 'back\\slash'];
  for (const name of odd) writeFileSync(join(path, 'a folder', name), `this is ${name}\n`);
  chmodSync(join(path, 'a folder', '.env'), 0o600);
  if (process.getuid?.() === 0) chownSync(join(path, 'a folder', '.env'), 1234, 2345);
  symlinkSync('part 0', join(path, 'a folder', 'link'));
  linkSync(join(path, 'a folder', '-rf'), join(path, 'hard link'));
  return path;
}

export const uploadsAt = (paths: string[], locations: string[], more = {}): Partial<PlanFile> => ({
  files: { uploads: { host: 'app1', paths, locations, ...more } },
});
export const locksOf = (directory: string) =>
  existsSync(join(directory, 'restic/locks')) ? readdirSync(join(directory, 'restic/locks')) : [];

export function packsOf(directory: string): string[] {
  const data = join(directory, 'restic/data');
  return readdirSync(data).flatMap((part) => readdirSync(join(data, part)).map((name) => join(data, part, name)));
}
