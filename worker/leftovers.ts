import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { laidDownPrefix, layDown } from '../activities/backups/logical/fetch.js';
import { fetchedPrefix } from '../activities/backups/wal.js';
import type { HostContext } from '../activities/context.js';
import { endLeftovers } from '../activities/run.js';

/**
 * What a killed agent left behind, its successor clears away before it takes any work: programs that still run, files
 * fetched to look at.
 */
export async function clearLeftovers(context: HostContext): Promise<void> {
  const { state } = context;
  await endLeftovers(join(state, 'running'));
  for (const name of await readdir(state)) {
    if (name.startsWith(fetchedPrefix)) await rm(join(state, name), { recursive: true, force: true });
  }
  const laid = layDown(context);
  for (const name of await readdir(laid).catch((): string[] => [])) {
    if (name.startsWith(laidDownPrefix)) await rm(join(laid, name), { recursive: true, force: true });
  }
}
