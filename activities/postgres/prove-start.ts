import { join } from 'node:path';
import { isFailure } from '../errors.js';
import { readFile, removeTree } from '../files.js';
import type { Cluster } from './cluster.js';
import { type Scratch, scratchSettings } from './scratch.js';
import { launch, serverLog, stopServer, untilReady } from './server.js';

/** Settings of a copy that would hide why production does not start: production has its own. */
const hiding = [
  ...['hba_file', 'ssl', 'hot_standby', 'log_min_messages', 'log_line_prefix', 'log_timezone'],
  ...[
    'max_connections',
    'max_worker_processes',
    'max_wal_senders',
    'max_prepared_transactions',
    'max_locks_per_transaction',
  ],
];

/**
 * Starts a restored copy once with the configuration that it will have in production's place, reachable for nobody, and
 * stops it again. Returns why it does not start, by its own log; undefined when it does. It may be a lack of memory
 * while production runs beside it, so a person judges.
 */
export async function proveStart(cluster: Cluster, scratch: Scratch): Promise<string | undefined> {
  const log = scratch.log.replace(/\.log$/, '-start.log');
  const settings = Object.entries(await scratchSettings(cluster, scratch)).filter(([name]) => !hiding.includes(name));
  await removeTree(log);
  try {
    await launch(cluster, { directory: scratch.directory, settings: Object.fromEntries(settings), log });
    // Nobody can ask it: its pg_hba.conf is production's, which is closed. The eighth line of its PID file says how it
    // is.
    await untilReady(
      cluster,
      { directory: scratch.directory, log, seconds: 120, what: "starting it with production's configuration" },
      async () => {
        const lines = (await readFile(join(scratch.directory, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n');
        return lines[7]?.trim() === 'ready' ? true : undefined;
      },
    );
    return undefined;
  } catch (error) {
    if (!isFailure(error, 'ServerFailed') && !isFailure(error, 'CommandFailed')) throw error;
    // What is wrong with a configuration stands above the line that says that something is.
    const said = (await serverLog(cluster, log)).filter((line) => /LOG|HINT|FATAL|PANIC/.test(line)).slice(-4);
    return said.length > 0
      ? said.map((line) => line.replace(/^.*?(?=LOG|HINT|FATAL|PANIC)/, '')).join(' | ')
      : error.message;
  } finally {
    await stopServer(cluster, scratch.directory);
  }
}
