import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Cluster } from './cluster.js';
import { postmasterPid } from './server.js';

/** The last part of the socket directory: by it every agent knows a closed server, whatever TMPDIR the one that started it had. */
export const socketName = (cluster: Cluster) =>
  `lifeboat-closed-${createHash('sha256').update(cluster.dataDirectory).digest('hex').slice(0, 12)}`;

/** Where the server of the data directory listens, as it says itself; undefined when none runs, or not yet. */
async function socketOf(cluster: Cluster): Promise<string | undefined> {
  if (cluster.scratchOnly || !(await postmasterPid(cluster.dataDirectory))) return undefined;
  // Lines of the file: PID, data directory, start, port, directory of the socket.
  return (await readFile(join(cluster.dataDirectory, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n')[4]?.trim();
}

/** The private socket directory, while the server runs closed; undefined when it runs otherwise, or not at all. */
export async function closedSocket(cluster: Cluster): Promise<string | undefined> {
  const socket = await socketOf(cluster);
  return socket !== undefined && basename(socket) === socketName(cluster) ? socket : undefined;
}
