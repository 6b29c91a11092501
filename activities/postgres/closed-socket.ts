import { basename, join } from 'node:path';
import { readFile } from '../files.js';
import { socketDirectory } from '../socket-directory.js';
import type { Cluster } from './cluster.js';
import { postmasterPid } from './server.js';

/** Where the socket of a closed server is: in a directory that its owner alone enters. */
export const closedSocketDirectory = (cluster: Cluster): string =>
  socketDirectory(cluster.context.state, `closed ${cluster.dataDirectory}`);

/** Where the server of the data directory listens, as it says itself; undefined when none runs, or not yet. */
async function socketOf(cluster: Cluster): Promise<string | undefined> {
  if (cluster.scratchOnly || !(await postmasterPid(cluster.dataDirectory))) return undefined;
  // Lines of the file: PID, data directory, start, port, directory of the socket.
  return (await readFile(join(cluster.dataDirectory, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n')[4]?.trim();
}

/**
 * The private socket directory, while the server runs on it alone: nobody but Lifeboat gets in. Undefined when it runs
 * otherwise, or not at all: it may be closed all the same, by pg_hba.conf (isClosed in fence.ts).
 */
export async function closedSocket(cluster: Cluster): Promise<string | undefined> {
  const socket = await socketOf(cluster);
  // By its last part: an agent with another state directory may have started it.
  const unique = (path: string) => basename(path).replace(/^.*-/, '');
  return socket !== undefined && unique(socket) === unique(closedSocketDirectory(cluster)) ? socket : undefined;
}
