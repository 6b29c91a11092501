import { codeOf, failure } from '../errors.js';
import { removeTree } from '../files.js';
import { type Cluster, dataOwner } from './cluster.js';
import { configurationProblem } from './configuration.js';
import { closedSocket, closedSocketDirectory } from './closed-socket.js';
import { answers, one, tooDamagedToConnect, withClient } from './connect.js';
import { whoCouldWrite } from './fence-proof.js';
import { privateDirectory } from './private-directory.js';
import { launch, ownLogFile, stopServer, untilReady } from './server.js';

/**
 * A database that an incident has closed runs on a socket in a directory that its owner alone can enter, and listens
 * nowhere else: whoever is no part of Lifeboat finds no door, superusers and cron jobs included. The closed pg_hba.conf
 * (fence.ts) holds when somebody starts it otherwise.
 */

/**
 * What a closed server has besides its own configuration: no door, nothing that works by itself, and no commit that
 * waits for a standby.
 */
const settings = (socketDirectory: string): Record<string, string> => ({
  listen_addresses: '',
  unix_socket_directories: socketDirectory,
  logging_collector: 'off',
  log_destination: 'stderr',
  lc_messages: 'C',
  autovacuum: 'off',
  synchronous_standby_names: '',
  max_logical_replication_workers: '0',
  'cron.launch_active_jobs': 'off',
});

/**
 * Starts the server of the data directory closed, with its own configuration otherwise, and waits until it answers
 * Lifeboat. Throws ServerFailed with what its log says.
 */
export async function startClosed(cluster: Cluster): Promise<void> {
  // Somebody may have started it otherwise.
  if (!(await closedSocket(cluster))) await stopServer(cluster);
  const socketDirectory = closedSocketDirectory(cluster);
  await privateDirectory(socketDirectory, await dataOwner(cluster));
  await launch(cluster, { settings: settings(socketDirectory) });
  const log = ownLogFile(cluster);
  await untilReady(
    cluster,
    { directory: cluster.dataDirectory, log, seconds: 600, what: 'starting it closed' },
    async () => {
      if (await answers(cluster)) return true;
      const damage = await tooDamagedToConnect(cluster);
      if (damage)
        throw failure(
          'ServerFailed',
          `it runs and lets nobody in: ${damage}`,
          'Its catalog is damaged: it must be restored.',
        );
      return undefined;
    },
  );
}

/** What a closed server has left behind when it is open again. */
export const removeClosedSocket = (cluster: Cluster): Promise<void> => removeTree(closedSocketDirectory(cluster));

/**
 * Why the server would not come back as it is configured now, or could not be stopped cleanly; undefined when it would.
 * What runs is not given up for what may not start: a setting that was mistyped since its start, a page that a
 * checkpoint cannot write.
 */
export async function whyNotRestart(cluster: Cluster): Promise<string | undefined> {
  const problem = await configurationProblem(cluster);
  if (problem !== undefined) return `it would not start with its configuration: ${problem}`;
  return withClient(cluster, { database: 'postgres', statementTimeout: 0 }, async (client) => {
    await client.query('checkpoint');
    return undefined;
  }).catch((error: unknown) => {
    // It has no room for one more session: then none is left when it was stopped.
    if (codeOf(error) === '53300') return undefined;
    return `a checkpoint fails: ${(error as Error).message}`;
  });
}

/**
 * Throws FenceFailed unless the server itself says that it listens on its private socket alone, and nobody but Lifeboat
 * is there.
 */
export async function proveClosed(cluster: Cluster): Promise<{ proofs: string[]; warnings: string[] }> {
  const socket = await closedSocket(cluster);
  const workers: string[] = [];
  const wrong = await withClient(cluster, { database: 'postgres' }, async (client) => {
    const listens = await one<string>(client, `select pg_catalog.current_setting('listen_addresses')`);
    const sockets = await one<string>(client, `select pg_catalog.current_setting('unix_socket_directories')`);
    if (socket === undefined || sockets !== socket || listens !== '')
      return `it listens on ${[sockets, listens].filter(Boolean).join(', ')}`;
    const others = (await whoCouldWrite(client)).filter(({ own }) => !own);
    workers.push(...new Set(others.map(({ kind }) => kind).filter((kind) => kind !== 'client backend')));
    const sessions = others.filter(({ kind }) => kind === 'client backend').length;
    return sessions > 0 ? `${sessions} sessions that are not Lifeboat's are connected` : undefined;
  });
  const warnings = workers.map(
    (kind) => `${kind} of an extension runs in the closed server: what it writes now is not in a restored copy`,
  );
  if (wrong === undefined)
    return { proofs: ['it listens on a private socket alone', 'no client session is left'], warnings };
  throw failure(
    'FenceFailed',
    `${cluster.database} is not closed: ${wrong}`,
    'Stop the server on the host, then: lifeboat decide retry',
  );
}
