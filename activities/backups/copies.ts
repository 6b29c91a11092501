import type { Capability } from '../capability.js';
import type { HostContext } from '../context.js';
import { exists } from '../files.js';
import { clusterOf } from '../postgres/cluster.js';
import { scratchOf } from '../postgres/scratch.js';
import { stopServer } from '../postgres/server.js';
import { discardScratch, readMark } from './restored-mark.js';

/** What becomes of a restored copy that was not put in place. */

/**
 * Removes the copy of a drill or of an aborted candidate. Only ever what Lifeboat made itself, by its name and its
 * mark.
 */
export const discardCopy = (
  context: HostContext,
): Capability<{ database: string; incident: string }, { summary: string }> => ({
  rehearse: () => Promise.resolve({ summary: 'nothing to remove' }),
  async execute({ database, incident }) {
    const cluster = clusterOf(context, database);
    const scratch = scratchOf(cluster, incident);
    const mark = await readMark(scratch);
    if (!mark && !(await exists(scratch.directory))) return { summary: 'nothing to remove' };
    if (mark?.incident !== incident)
      return { summary: `${scratch.directory} was not made by this incident, and stays` };
    await discardScratch(cluster, scratch);
    return { summary: `the scratch copy ${scratch.directory} was removed` };
  },
});

/** Stops the copy's server and leaves the copy where it is. */
export const stopCopy = (
  context: HostContext,
): Capability<{ database: string; incident: string }, { summary: string; directory: string | null }> => ({
  rehearse: () => Promise.resolve({ summary: 'nothing to stop', directory: null }),
  async execute({ database, incident }) {
    const cluster = clusterOf(context, database);
    const scratch = scratchOf(cluster, incident);
    if (!(await exists(scratch.directory))) return { summary: 'there is no copy', directory: null };
    await stopServer(cluster, scratch.directory);
    return { summary: `the restored copy is kept, stopped, at ${scratch.directory}`, directory: scratch.directory };
  },
});
