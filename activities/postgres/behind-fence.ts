import { looking } from '../capability.js';
import type { HostContext } from '../context.js';
import { commitsBehind, readClosing } from './closing.js';
import { clusterOf } from './cluster.js';

export interface BehindFence {
  summary: string;
  /** Transactions that were committed after the closing by whoever got past it; null when nobody can tell. */
  commits: number | null;
  /** False when the database was not marked where it was closed: it did not run. */
  marked: boolean;
}

/** Looks into the WAL of the closed database for what somebody committed there all the same. */
export const behindFence = (context: HostContext) =>
  looking<{ database: string; incident: string }, BehindFence>(async ({ database, incident }) => {
    const cluster = clusterOf(context, database);
    const commits = await commitsBehind(cluster, incident);
    return {
      commits: commits ?? null,
      marked: (await readClosing(cluster, incident)) !== undefined,
      summary:
        commits === undefined ? 'not known' : `${commits} transactions were committed after ${database} was closed`,
    };
  });
