import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { isAlive, startOf } from '../activities/processes.js';
import { Expected, exitCodes } from './output.js';

/**
 * Two commands without a plan at once would each bring up a Temporal of their own on one file. Returns what gives the
 * file up. Throws {@link Expected} while another one works.
 */
export async function onlyOne(file: string): Promise<() => void> {
  const own = `${process.pid}\n${await startOf(process.pid)}`;
  const draft = `${file}.${process.pid}`;
  for (;;) {
    try {
      // It is there whole or not at all: nobody may take one that is being written for one of a dead command.
      writeFileSync(draft, own, { mode: 0o600 });
      linkSync(draft, file);
      return () => rmSync(file, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    } finally {
      rmSync(draft, { force: true });
    }
    const found = readIfThere(file);
    if (found === undefined) continue;
    const [pid = '', started = ''] = found.split('\n');
    if (await isAlive(Number(pid), started)) {
      throw new Expected(
        `Another lifeboat backup command works on this database, with PID ${pid}: nothing was begun.`,
        'Wait until it has ended, then say it again.',
        exitCodes.refused,
      );
    }
    removeStale(file, draft, found);
  }
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Two may find the same dead one: who comes second must not remove what the first has put in its place. */
function removeStale(file: string, aside: string, stale: string): void {
  try {
    renameSync(file, aside);
    if (readFileSync(aside, 'utf8') !== stale) linkSync(aside, file);
  } catch (error) {
    if (!['ENOENT', 'EEXIST'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  } finally {
    rmSync(aside, { force: true });
  }
}
