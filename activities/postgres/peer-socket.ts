import { type ChildProcess, spawn } from 'node:child_process';
import { Socket } from 'node:net';
import type { Owner } from '../run.js';

/**
 * Peer authentication asks the kernel who called connect(2): for an agent that is root it must be the owner of the
 * data. A process of several threads cannot be somebody else for one call (its other threads would read files as that
 * user meanwhile), so a small process of that user connects, and hands the connected socket over. One for each user; it
 * ends with us, and a new one takes the place of one that ended.
 */
const program = `
const { connect } = require('node:net');
const [uid, gid] = process.argv.slice(1).map(Number);
try { process.initgroups(uid, gid); } catch { process.setgroups([]); }
process.setgid(gid);
process.setuid(uid);
process.on('disconnect', () => process.exit());
process.on('message', ({ id, path }) => {
  const answer = (what, socket) => process.connected && process.send(what, socket, () => undefined);
  const socket = connect({ path });
  socket.on('error', ({ code, message }) => answer({ id, code, message }));
  socket.once('connect', () => answer({ id }, socket));
});
`;

interface Answer {
  id: number;
  code?: string;
  message?: string;
}

interface Helper {
  child: ChildProcess;
  waiting: Map<number, { resolve: (socket: Socket) => void; reject: (error: Error) => void }>;
}

const helpers = new Map<string, Helper>();
let asked = 0;

/**
 * A connected socket of a path, connected by this user. Rejects with the error of connect(2), and with ETIMEDOUT after
 * these milliseconds.
 */
export async function connectedBy(owner: Owner, path: string, milliseconds: number): Promise<Socket> {
  try {
    return await ask(helperOf(owner), path, milliseconds);
  } catch (error) {
    // Somebody killed it just now.
    if ((error as NodeJS.ErrnoException).code !== ended) throw error;
    return ask(helperOf(owner), path, milliseconds);
  }
}

const ended = 'ECONNABORTED';

function ask(helper: Helper, path: string, milliseconds: number): Promise<Socket> {
  const id = (asked += 1);
  return new Promise<Socket>((resolve, reject) => {
    const timer = setTimeout(() => {
      // It hangs, or was stopped: a new one is made next time.
      forget(helper);
      helper.child.kill('SIGKILL');
      settle(() => reject(withCode(`connecting to ${path} took more than ${milliseconds / 1000} s`, 'ETIMEDOUT')));
    }, milliseconds);
    const settle = (then: () => void) => {
      clearTimeout(timer);
      helper.waiting.delete(id);
      then();
    };
    helper.waiting.set(id, {
      resolve: (socket) => settle(() => resolve(socket)),
      reject: (error) => settle(() => reject(error)),
    });
    helper.child.send({ id, path }, (error) => {
      if (error) helper.waiting.get(id)?.reject(withCode(error.message, ended));
    });
  });
}

function forget(helper: Helper): void {
  for (const [key, one] of helpers) if (one === helper) helpers.delete(key);
}

function helperOf(owner: Owner): Helper {
  const key = `${owner.uid}:${owner.gid}`;
  const there = helpers.get(key);
  if (there?.child.connected) return there;
  const child = spawn(
    process.execPath,
    ['--max-semi-space-size=1', '--optimize-for-size', '-e', program, String(owner.uid), String(owner.gid)],
    // A group of its own: what a terminal sends to ours is not meant for it.
    { stdio: ['ignore', 'ignore', 'ignore', 'ipc'], detached: true, cwd: '/', env: {} },
  );
  const waiting: Helper['waiting'] = new Map();
  const helper = { child, waiting };
  helpers.set(key, helper);
  const gone = () => {
    forget(helper);
    for (const { reject } of waiting.values())
      reject(
        withCode(`the process that connects as user ${owner.uid} ended (may this agent become that user?)`, ended),
      );
  };
  child.on('error', gone).on('exit', gone);
  child.on('message', ({ id, code, message }: Answer, socket?: unknown) => {
    const one = waiting.get(id);
    if (!one) {
      // Nobody waits for it any more.
      if (socket instanceof Socket) socket.destroy();
    } else if (socket instanceof Socket) one.resolve(socket);
    else one.reject(withCode(message ?? `the socket was closed at once`, code ?? 'ECONNRESET'));
  });
  // Nobody waits for it at our end.
  child.unref();
  child.channel?.unref();
  return helper;
}

const withCode = (message: string, code: string): Error => Object.assign(new Error(message), { code });

/** For the driver, which makes its connections itself: this one is there already. */
export function asStream(socket: Socket): Socket {
  socket.connect = () => {
    process.nextTick(() => socket.emit('connect'));
    return socket;
  };
  return socket;
}
