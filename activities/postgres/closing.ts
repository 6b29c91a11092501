import { join } from 'node:path';
import { writeWhole, readFile } from '../files.js';
import type { Cluster } from './cluster.js';

/** Where a database stood when an incident closed it: what is in its WAL after that is nobody's acknowledged work. */
export interface Closing {
  /** ISO 8601. */
  at: string;
  timeline: number;
  /** Where the restore point ends in the WAL. */
  lsn: string;
  /** The name of the restore point in the WAL, at which a recovery to the latest moment stops. */
  restorePoint: string;
}

const file = (cluster: Cluster, incident: string) => join(cluster.context.state, `closing-${cluster.database}-${incident}.json`);

/** Undefined when the incident has not closed the database, or could not mark it in its WAL (a server that is down). */
export async function readClosing(cluster: Cluster, incident: string): Promise<Closing | undefined> {
  const text = await readFile(file(cluster, incident), 'utf8').catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as Closing);
}

export const writeClosing = (cluster: Cluster, incident: string, closing: Closing): Promise<void> =>
  writeWhole(file(cluster, incident), JSON.stringify(closing), { what: 'noting where it was closed' });
