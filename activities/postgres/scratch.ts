import { createHash } from 'node:crypto';
import { realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { restoredDirectory } from '../../vocabulary/names.js';
import { failure } from '../errors.js';
import { writeWhole } from '../files.js';
import { socketDirectory } from '../socket-directory.js';
import { type Cluster, controlData, dataOwner } from './cluster.js';
import { type Client, one } from './connect.js';
import { privateDirectory } from './private-directory.js';

/** The restored copy beside the real database: another directory, another socket, no network, no archiving. */
export interface Scratch {
  directory: string;
  socketDirectory: string;
  hba: string;
  log: string;
}

/** Names of the scratch copy of an incident. */
export function scratchOf(cluster: Cluster, incident: string): Scratch {
  const unique = createHash('sha256').update(`${cluster.dataDirectory} ${incident}`).digest('hex').slice(0, 12);
  return {
    directory: restoredDirectory(cluster.dataDirectory, incident),
    socketDirectory: socketDirectory(cluster.context.state, `${cluster.dataDirectory} ${incident}`),
    hba: join(cluster.context.state, `scratch-hba-${unique}.conf`),
    log: join(cluster.context.state, 'logs', `${cluster.database}-${incident}.log`),
  };
}

/** Settings of every start of a scratch copy, stronger than anything that its own files say. */
export async function scratchSettings(cluster: Cluster, scratch: Scratch): Promise<Record<string, string>> {
  const owner = await dataOwner(cluster);
  await privateDirectory(scratch.socketDirectory, owner);
  // Trust is safe here: only the owner of the data can enter the directory of the socket, and nothing listens on the
  // network.
  await writeWhole(scratch.hba, 'local all all trust\n', { owner, mode: 0o600 });
  return {
    listen_addresses: '',
    unix_socket_directories: scratch.socketDirectory,
    hba_file: scratch.hba,
    // A copy that archives would write into production's repository (patroni#890).
    archive_mode: 'off',
    hot_standby: 'on',
    ssl: 'off',
    logging_collector: 'off',
    log_destination: 'stderr',
    log_min_messages: 'info',
    log_line_prefix: '%m [%p] ',
    lc_messages: 'C',
    log_timezone: 'UTC',
    primary_conninfo: '',
    primary_slot_name: '',
    synchronous_standby_names: '',
    // Production's own, which a copy must not touch or run.
    external_pid_file: '',
    archive_cleanup_command: '',
    recovery_end_command: '',
    recovery_min_apply_delay: '0',
    // Production still runs beside it, and may hold them all.
    huge_pages: 'try',
    // Nor may it take production's place at a publisher, or run its jobs a second time.
    max_logical_replication_workers: '0',
    'cron.launch_active_jobs': 'off',
    ...(await replayLimits(cluster, scratch)),
  };
}

/**
 * Throws WrongTarget unless the server behind this session is the copy's: settings outside of the data directory could
 * name another one.
 */
export async function demandScratch(client: Client, scratch: Scratch): Promise<void> {
  const served = await one<string>(client, `select current_setting('data_directory')`);
  if (served === scratch.directory || (served && (await realpath(served)) === (await realpath(scratch.directory))))
    return;
  throw failure(
    'WrongTarget',
    `the server of the copy serves ${served ?? 'nothing'} and not ${scratch.directory}`,
    'Look at data_directory in postgresql.conf on the host; nothing was changed.',
  );
}

/** As pg_controldata names them, and as the settings are called. */
const limits = {
  max_connections: 'max_connections',
  max_worker_processes: 'max_worker_processes',
  max_wal_senders: 'max_wal_senders',
  max_prepared_xacts: 'max_prepared_transactions',
  max_locks_per_xact: 'max_locks_per_transaction',
};

/**
 * Recovery pauses for ever when one of these is lower than it was on the server that wrote the WAL, and the backup's
 * configuration may be older than that. So each is what production or the copy had, whichever is higher. Source:
 * PostgreSQL manual, "Administrator's Overview" of hot standby.
 */
async function replayLimits(cluster: Cluster, scratch: Scratch): Promise<Record<string, string>> {
  const texts = await Promise.all(
    [cluster.dataDirectory, scratch.directory].map((directory) =>
      controlData(cluster, directory).then(
        ({ text }) => text,
        () => '',
      ),
    ),
  );
  const highest = (label: string) =>
    Math.max(...texts.map((text) => Number(new RegExp(`^${label} setting:\\s+(\\d+)`, 'm').exec(text)?.[1] ?? 0)));
  return Object.fromEntries(
    Object.entries(limits)
      .map(([label, setting]) => [setting, highest(label)] as const)
      .filter(([, value]) => value > 0)
      .map(([setting, value]) => [setting, String(value)]),
  );
}
