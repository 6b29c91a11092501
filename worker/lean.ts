import { accessSync, constants } from 'node:fs';

/** Set in a process that was started anew by `lean`. */
const mark = 'LIFEBOAT_LEAN';

/**
 * glibc keeps a block that was freed for the next one, and the more threads a process has the more of them; from this
 * size on (bytes) a block goes back to the system at once. An agent passes gigabytes through blocks of 64 KB and more.
 * Source: mallopt(3), M_MMAP_THRESHOLD, M_ARENA_MAX.
 */
const malloc = { MALLOC_MMAP_THRESHOLD_: '60000', MALLOC_ARENA_MAX: '2' };

/**
 * Starts this process anew in its own place, with its own ID, and with settings of memory that are only taken at a
 * start: it then has about 40 MB less while a dump goes through it (docs/benchmarks.md). Returns when they are taken,
 * or where they cannot be.
 */
export function lean(): void {
  const { [mark]: done, ...env } = process.env;
  if (done) {
    delete process.env[mark];
    return;
  }
  // From Node 22.15 and 23.11 on, and not on Windows.
  if (!process.execve || process.platform === 'win32') return;
  try {
    // A failing execve ends the process.
    accessSync(process.execPath, constants.X_OK);
  } catch {
    return;
  }
  const args = [process.execPath, '--max-semi-space-size=1', ...process.execArgv, ...process.argv.slice(1)];
  process.execve(process.execPath, args, { ...malloc, ...env, [mark]: '1' });
}
