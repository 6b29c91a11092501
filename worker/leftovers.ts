import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fetchedPrefix } from '../activities/backups/wal.js';
import type { HostContext } from '../activities/context.js';
import { endLeftovers } from '../activities/run.js';

/** What a killed agent left behind, its successor clears away before it takes any work: programs that still run, files fetched to look at. */
export async function clearLeftovers({ state }: HostContext): Promise<void> {
  await endLeftovers(join(state, 'running'));
  for (const name of await readdir(state)) {
    if (name.startsWith(fetchedPrefix)) await rm(join(state, name), { recursive: true, force: true });
  }
}
