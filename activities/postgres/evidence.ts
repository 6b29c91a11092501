import { mkdir, readdir, readlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Capability } from '../capability.js';
import { checkpoint } from '../checkpoint.js';
import type { HostContext } from '../context.js';
import { exists, fileBytes, freeBytes, openRegular, readFile, removeTree, sha256, writeWhole } from '../files.js';
import { clusterOf, type Cluster, controlData, provenDataDirectory } from './cluster.js';
import { withClient } from './connect.js';
import { logFile, postmasterPid } from './server.js';

export interface EvidenceFile {
  file: string;
  bytes: number;
  sha256: string;
}
export interface EvidenceResult {
  summary: string;
  files: EvidenceFile[];
}

const logBytes = 5_000_000;

export const evidenceDirectory = (context: HostContext, incident: string): string =>
  join(context.state, 'evidence', incident);

/** Writes one file of evidence and returns its name, size and digest. */
export async function keepEvidence(
  context: HostContext,
  incident: string,
  name: string,
  content: string | Buffer,
): Promise<EvidenceFile> {
  const directory = evidenceDirectory(context, incident);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const file = join(directory, name);
  await writeFile(file, content, { mode: 0o600 });
  await checkpoint('after keeping evidence');
  return { file, bytes: await fileBytes(file), sha256: await sha256(file) };
}

/**
 * Copies aside what says how the damage came about, before anything is changed: server log, control data, checksum
 * failures, sessions.
 */
export const saveEvidence = (
  context: HostContext,
): Capability<{ database: string; incident: string }, EvidenceResult> => ({
  async rehearse({ database }) {
    const cluster = clusterOf(context, database);
    await provenDataDirectory(cluster);
    const log = await findServerLog(cluster);
    return {
      summary: `could be saved: ${log ? 'server log' : 'no server log found'}, control data; ${Math.round((await freeBytes(context.state)) / 1e6)} MB free`,
      files: [],
    };
  },

  async execute({ database, incident }) {
    const cluster = clusterOf(context, database);
    const directory = await provenDataDirectory(cluster);
    const files: EvidenceFile[] = [];
    const notSaved: string[] = [];
    const save = async (name: string, content: () => Promise<string | Buffer>) => {
      // What cannot be saved is said and does not hold up a recovery.
      await content().then(
        async (text) => files.push(await keepEvidence(context, incident, `${database}-${name}`, text)),
        (error: unknown) => notSaved.push(`${name}: ${(error as Error).message}`),
      );
    };
    await save('control-data.txt', async () => (await controlData(cluster, directory)).text);
    const noted = await readFile(noteFile(cluster, incident), 'utf8').catch(() => undefined);
    const log = noted ?? (await findServerLog(cluster));
    if (log) await save('server-log.txt', () => lastBytes(log));
    else notSaved.push('server log: not found');
    if (await postmasterPid(directory)) {
      await save('checksum-failures.json', async () =>
        withClient(cluster, { database: 'postgres' }, async (client) =>
          JSON.stringify(
            (await client.query('select datname, checksum_failures, checksum_last_failure from pg_stat_database')).rows,
            null,
            2,
          ),
        ),
      );
    }
    const missing = notSaved.length > 0 ? `; not saved: ${notSaved.join('; ')}` : '';
    return { summary: `${files.length} files with SHA-256${missing}`, files };
  },
});

const noteFile = (cluster: Cluster, incident: string) =>
  join(cluster.context.state, `server-log-${cluster.database}-${incident}`);

/**
 * Writes down where the server logs, before it is started anew with another log: what it said of the damage is there.
 */
export async function noteServerLog(cluster: Cluster, incident: string): Promise<void> {
  const log = (await exists(noteFile(cluster, incident))) ? undefined : await findServerLog(cluster);
  if (log) await writeWhole(noteFile(cluster, incident), log, { what: 'noting the log of the server' });
}

/** Of all incidents: the database is open again, and logs as it is configured. */
export async function forgetServerLogs(cluster: Cluster): Promise<void> {
  for (const name of await readdir(cluster.context.state))
    if (name.startsWith(`server-log-${cluster.database}-`)) await removeTree(join(cluster.context.state, name));
}

/**
 * The log of a server that runs is wherever its standard error goes; of one that does not, where we last started it, or
 * Debian's place.
 */
async function findServerLog(cluster: Cluster): Promise<string | undefined> {
  const pid = await postmasterPid(cluster.dataDirectory);
  const candidates: (string | undefined)[] = [];
  if (pid) {
    candidates.push(
      await withClient(cluster, { database: 'postgres' }, async (client) => {
        const { rows } = await client.query<{ file: string | null }>(
          `select case when pg_current_logfile() like '/%' then pg_current_logfile() else current_setting('data_directory') || '/' || pg_current_logfile() end as file`,
        );
        return rows[0]?.file ?? undefined;
      }).catch(() => undefined),
      await readlink(`/proc/${pid}/fd/2`).catch(() => undefined),
    );
  }
  candidates.push(logFile(cluster));
  const debian = /\/var\/lib\/postgresql\/([^/]+)\/([^/]+)$/.exec(cluster.dataDirectory);
  if (debian) candidates.push(`/var/log/postgresql/postgresql-${debian[1]}-${debian[2]}.log`);
  for (const path of candidates)
    if (path?.startsWith('/') && !path.startsWith('/dev/') && (await exists(path))) return path;
  return undefined;
}

async function lastBytes(path: string): Promise<Buffer> {
  const size = await fileBytes(path);
  const length = Math.min(size, logBytes);
  const file = await openRegular(path);
  try {
    const buffer = Buffer.alloc(length);
    await file.read(buffer, 0, length, size - length);
    return buffer;
  } finally {
    await file.close();
  }
}
