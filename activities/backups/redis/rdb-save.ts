import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { cancelled, progress } from '../../capability.js';
import { checkpoint } from '../../checkpoint.js';
import { failure } from '../../errors.js';
import { type Ask, info, setting } from './client.js';

/** Where a Redis server keeps its RDB file. */
export async function rdbFile(ask: Ask): Promise<string> {
  return join(await setting(ask, 'dir'), await setting(ask, 'dbfilename'));
}

/** Turns AOF on where it is off, for good where that can be. Returns what is to be said of it; empty when it was on. */
export async function keepAofOn(ask: Ask): Promise<string> {
  if ((await setting(ask, 'appendonly')) === 'yes') return '';
  await ask('CONFIG', 'SET', 'appendonly', 'yes');
  return ask('CONFIG', 'REWRITE').then(
    () => 'AOF was off and is on now, in its configuration file too',
    (error: unknown) =>
      `AOF was off and is on now; set appendonly yes in its configuration file (${(error as Error).message})`,
  );
}

/**
 * Has the server write its RDB file anew, and returns where it is. A save that runs already began too early and is
 * waited for. Source: redis.io, "Redis persistence" and BGSAVE. Throws CommandFailed when the save fails: no memory to
 * fork, no space.
 */
export async function save(ask: Ask, what: string): Promise<string> {
  await ended(ask, what);
  const before = Number((await ask('LASTSAVE'))[0]);
  // LASTSAVE counts seconds, and a save within the same one could not be told from the last.
  while (Math.floor(Date.now() / 1000) <= before) await wait(100);
  await checkpoint('before BGSAVE');
  await ask('BGSAVE', 'SCHEDULE');
  for (let tries = 0; ; tries += 1) {
    await ended(ask, what);
    const now = await info(ask, 'persistence');
    if (Number(now['rdb_last_save_time']) > before && now['rdb_last_bgsave_status'] === 'ok') break;
    if (now['rdb_last_bgsave_status'] !== 'ok' || tries > 600) {
      throw failure(
        'CommandFailed',
        `${what} did not save: its log says why`,
        'Has it memory to fork, and its directory space? Look at its log; then retry.',
      );
    }
    // It was scheduled behind a rewrite of the AOF.
    await wait(200);
  }
  return rdbFile(ask);
}

async function ended(ask: Ask, what: string): Promise<void> {
  for (;;) {
    const now = await info(ask, 'persistence');
    if (now['rdb_bgsave_in_progress'] !== '1' && now['aof_rewrite_in_progress'] !== '1') return;
    progress({ what: `${what} is saving` });
    await wait(200);
  }
}

const wait = (milliseconds: number) => pause(milliseconds, undefined, { signal: cancelled() });
