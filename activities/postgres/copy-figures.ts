import type { CopyFigures } from '../../vocabulary/incident.js';
import type { Capability } from '../capability.js';
import type { HostContext } from '../context.js';
import { readCanary } from './canary.js';
import { countRows } from './checks.js';
import { clusterOf, controlData } from './cluster.js';
import { one, withClient } from './connect.js';

/** Minutes that counting may hold up a roll-back. */
const countingMinutes = 5;

/**
 * Looks at the copy that is in place: its timeline, its next transaction, its canary, and the plan's row counts. A
 * server that is down or damaged is no failure: what could not be asked is null, and says why. Changes nothing.
 */
export const copyFigures = (context: HostContext): Capability<{ database: string; count: boolean }, CopyFigures> => {
  const look = async ({ database, count }: { database: string; count: boolean }): Promise<CopyFigures> => {
    const cluster = clusterOf(context, database);
    const unknown = { at: new Date().toISOString(), transaction: null, beats: null, lastCommit: null, rows: {} };
    const timeline = await controlData(cluster, cluster.dataDirectory).then(
      (control) => control.timeline,
      () => null,
    );
    const asked = await withClient(cluster, { statementTimeout: countingMinutes * 60_000 }, async (client) => {
      const canary = await readCanary(client);
      // Asking takes no number.
      const transaction = (await one<string>(client, 'select pg_snapshot_xmax(pg_current_snapshot())::text')) ?? null;
      const rows = count ? (await countRows(cluster, client)).counts : {};
      return {
        at: new Date().toISOString(),
        transaction,
        beats: canary?.seq ?? null,
        lastCommit: canary?.ts ?? null,
        rows,
      };
    }).catch((error: unknown) => ({ ...unknown, why: (error as Error).message }));
    return { ...asked, timeline, summary: `timeline ${timeline ?? 'unknown'}` };
  };
  return { rehearse: look, execute: look };
};
