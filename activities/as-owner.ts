import { spawnSync } from 'node:child_process';

/** Whom a program runs as: the owner of the data it works on. Undefined: as ourselves. */
export interface Owner {
  uid: number;
  gid: number;
}

/** What is given to spawn(2). */
export interface AsOwner {
  command: string;
  args: string[];
  identity: Partial<Owner>;
}

/** A program that is not there, or not for this user, ends with 127 and without a word. */
const found = 'command -v "$1" >/dev/null || exit 127; exec "$@"';

/**
 * A program as another user with all groups of that user: spawn(2) with a uid takes them away, and with them what a
 * group may read (Debian's key of a server belongs to the group ssl-cert). Where there is no setpriv, it runs with the
 * user's own group alone.
 * Source: setpriv(1) of util-linux; libuv, uv__process_child_init.
 */
export function asOwner(owner: Owner | undefined, command: string, args: string[]): AsOwner {
  if (!owner) return { command, args, identity: {} };
  if (!hasSetpriv()) return { command, args, identity: owner };
  const groups = isKnown(owner.uid) ? '--init-groups' : '--clear-groups';
  const as = [`--reuid=${owner.uid}`, `--regid=${owner.gid}`, groups];
  return {
    command: 'setpriv',
    args: [...as, '--', '/bin/sh', '-c', found, 'lifeboat', command, ...args],
    identity: {},
  };
}

let setpriv: boolean | undefined;
/** Whether this host has util-linux's setpriv (that of busybox knows no users), and may become somebody else by it. */
export const hasSetpriv = (): boolean =>
  (setpriv ??= succeeds('setpriv', ['--reuid=0', '--regid=0', '--clear-groups', 'true']));

const known = new Set<number>();
/** Of a user without a name nobody knows the groups. One who gets a name later is known from then on. */
function isKnown(uid: number): boolean {
  if (!known.has(uid) && succeeds('id', ['-nu', String(uid)])) known.add(uid);
  return known.has(uid);
}

const succeeds = (command: string, args: string[]): boolean =>
  spawnSync(command, args, { stdio: 'ignore', timeout: 5000, env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin' } })
    .status === 0;
