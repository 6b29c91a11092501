import { createHash } from 'node:crypto';
import { lstat, mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { restoredDirectory } from '../../plan/names.js';
import { failure } from '../errors.js';
import { ownFor, writeWhole } from '../files.js';
import { type Cluster, dataOwner } from './cluster.js';

/** The restored copy beside the real database: another directory, another socket, no network, no archiving. */
export interface Scratch {
  directory: string;
  socketDirectory: string;
  hba: string;
}

/** Names of the scratch copy of an incident. The socket is in a short directory of its own: a socket's path may have no more than 107 bytes. */
export function scratchOf(cluster: Cluster, incident: string): Scratch {
  const unique = createHash('sha256').update(`${cluster.dataDirectory} ${incident}`).digest('hex').slice(0, 12);
  return {
    directory: restoredDirectory(cluster.dataDirectory, incident),
    socketDirectory: join(tmpdir(), `lifeboat-${unique}`),
    hba: join(cluster.context.state, `scratch-hba-${cluster.database}.conf`),
  };
}

/** Settings of every start of a scratch copy, stronger than anything that its own files say. */
export async function scratchSettings(cluster: Cluster, scratch: Scratch): Promise<Record<string, string>> {
  const owner = await dataOwner(cluster);
  await mkdir(scratch.socketDirectory, { mode: 0o700 }).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  });
  await ownFor(scratch.socketDirectory, owner);
  const found = await lstat(scratch.socketDirectory);
  if (!found.isDirectory() || (found.mode & 0o077) !== 0 || (owner && found.uid !== owner.uid)) {
    throw failure(
      'WrongTarget',
      `${scratch.socketDirectory} belongs to somebody else`,
      "Look who made it; remove it if it is nobody's, then: lifeboat decide retry",
    );
  }
  // Trust is safe here: only the owner of the data can enter the directory of the socket, and nothing listens on the network.
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
  };
}
