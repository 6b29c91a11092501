/** Set in a process that was started anew by `lean`. */
const mark = 'LIFEBOAT_LEAN';

/**
 * Starts this process anew in its own place, with its own ID, and with settings of memory that are only taken at a start: an agent passes
 * gigabytes through small buffers, and by default V8 and glibc keep many times what is in use at a moment (docs/benchmarks.md). Returns when they are taken, or cannot be.
 */
export function lean(): void {
  const { [mark]: done, ...env } = process.env;
  if (done) {
    delete process.env[mark];
    return;
  }
  // Node 22.15, 23.11; Windows has none.
  if (!process.execve || process.platform === 'win32') return;
  const flags = ['--max-semi-space-size=1', ...process.execArgv, ...process.argv.slice(1)];
  process.execve(process.execPath, [process.execPath, ...flags], { MALLOC_ARENA_MAX: '2', ...env, [mark]: '1' });
}
