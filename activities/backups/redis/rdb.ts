import { createHash } from 'node:crypto';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { rm } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { cancelled } from '../../capability.js';
import type { HostContext } from '../../context.js';
import { failure } from '../../errors.js';
import { run } from '../../run.js';
import { socketDirectory } from '../../socket-directory.js';
import { info, socketClient } from './client.js';

/** What redis-check-rdb counts in an RDB file. */
export interface Counted {
  keys: number;
  /** Of them, how many end at a time; a server that loads the file drops those whose time is over. */
  expires: number;
}

/** Reads an RDB file whole and checks its structure and its checksum. Throws BackupDamaged with what is wrong. */
export async function checkRdb(path: string): Promise<Counted> {
  const { code, lines } = await run('redis-check-rdb', [path], { accept: [1] });
  const number = (what: string) => Number(new RegExp(`(\\d+) ${what}`).exec(lines.join('\n'))?.[1] ?? 0);
  if (code === 0) return { keys: number('keys read'), expires: number('expires') };
  const said = lines.filter((line) => /error|wrong|unexpected|mismatch|corrupt/i.test(line)).slice(-2);
  throw failure(
    'BackupDamaged',
    `the RDB file is damaged: ${said.join(' | ') || lines.slice(-1).join('')}`,
    'Take another backup: lifeboat backup list',
  );
}

/**
 * Starts a server of its own on an RDB file, without network and without persistence, and returns how many keys it
 * holds.
 */
export async function loadRdb(context: HostContext, directory: string, file: string): Promise<number> {
  const name = `lifeboat-redis-${createHash('sha256').update(directory).digest('hex').slice(0, 12)}`;
  const own = socketDirectory(context.state, `redis ${directory}`, 'socket');
  // Never one that somebody else made.
  await rm(own, { recursive: true, force: true });
  await mkdir(own, { mode: 0o700 });
  const socket = join(own, 'socket');
  await rm(socket, { force: true });
  const settings = {
    port: '0',
    unixsocket: socket,
    unixsocketperm: '700',
    dir: directory,
    dbfilename: file,
    save: '',
    appendonly: 'no',
  };
  const args = Object.entries({ ...settings, daemonize: 'no' }).flatMap(([key, value]) => [`--${key}`, value]);
  const ledger = { directory: join(context.state, 'running'), name, point: 'redis-scratch' };
  const state = { over: false };
  const server = run('redis-server', args, { ledger }).finally(() => (state.over = true));
  const ask = socketClient(socket);
  try {
    // A big file takes a while; meanwhile it answers LOADING.
    while (!state.over && !(await ask('PING').catch(() => undefined)))
      await pause(100, undefined, { signal: cancelled() });
    if (state.over) await server;
    const spaces = Object.values(await info(ask, 'keyspace'));
    return spaces.reduce((sum, one) => sum + Number(/keys=(\d+)/.exec(one)?.[1] ?? 0), 0);
  } finally {
    if (!state.over) await ask('SHUTDOWN', 'NOSAVE').catch(() => undefined);
    await server.catch(() => undefined);
    await rm(own, { recursive: true, force: true });
  }
}

/** The only file below a directory: where a restore has put it, whatever directories lead to it. */
export async function onlyFile(directory: string): Promise<{ directory: string; file: string }> {
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    if (entry.isFile()) return { directory, file: entry.name };
    if (entry.isDirectory()) return onlyFile(join(directory, entry.name));
  }
  throw failure('BackupDamaged', 'there is no RDB file in the backup', 'Take another backup: lifeboat backup list');
}
