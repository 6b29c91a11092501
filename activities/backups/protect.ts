import { recoverCommand } from '../../vocabulary/scenario.js';
import type { LocationPlan } from '../../plan/schema.js';
import { type Capability, progress } from '../capability.js';
import type { HostContext } from '../context.js';
import { checkpoint } from '../checkpoint.js';
import { failure } from '../errors.js';
import { beatOnce } from '../postgres/canary.js';
import { type Cluster, clusterOf } from '../postgres/cluster.js';
import { type Client, one, withClient } from '../postgres/connect.js';
import { forgetSetBack } from '../postgres/last-known.js';
import { noteCluster } from '../postgres/note-cluster.js';
import { askRole, noteRole } from '../postgres/role.js';
import { demandPromoted } from './takes-over.js';
import { currentTimeline } from '../postgres/replication.js';
import { engineOf, locationsOf, repositoryInfo } from './engines.js';
import { endOfArchive } from './known-end.js';
import { reaches } from '../../vocabulary/lsn.js';

/**
 * Makes WAL archiving work: every location is ready and PostgreSQL archives by Lifeboat's command. A command that
 * somebody else configured is left alone, and said; archive_mode needs a restart, which is not ours to do.
 */
export async function ensureArchiving(cluster: Cluster): Promise<{ says: string; unusable: Record<string, string> }> {
  // First: what is written for the locations has the data directory as the server says it.
  await noteCluster(cluster);
  const answered = await withClient(cluster, { database: 'postgres' }, askRole);
  // Restored, it is on a timeline that nobody has noted yet.
  await noteRole(cluster, answered).catch(() => undefined);
  if (answered.role === 'primary') await demandPromoted(cluster, answered);
  const unusable = await demandLocations(cluster);
  for (const [location, why] of Object.entries(unusable))
    console.error(`${cluster.database}: location ${location}: ${why}`);
  return { says: await setArchiveCommand(cluster), unusable };
}

async function setArchiveCommand(cluster: Cluster): Promise<string> {
  const engine = engineOf(cluster);
  // Written before PostgreSQL is told to read it.
  await engine.writeConfig(cluster);
  return withClient(cluster, { database: 'postgres' }, async (client) => {
    if (await one<boolean>(client, 'select pg_is_in_recovery()')) return 'a standby does not archive';
    if ((await one<string>(client, `select current_setting('archive_mode')`)) === 'off') {
      throw failure(
        'BadRequest',
        `archive_mode is off on ${cluster.context.host}: no WAL is archived, and nothing since a backup could be recovered`,
        'Set archive_mode = on and wal_level = replica in postgresql.conf, and restart the server when it suits.',
      );
    }
    const library = await libraryThatArchives(client);
    if (library !== undefined) {
      throw failure(
        'BadRequest',
        `archive_library on ${cluster.context.host} is ${library}: PostgreSQL asks it, and not archive_command`,
        'If Lifeboat is to archive: alter system reset archive_library, take it out of postgresql.conf, then: select pg_reload_conf()',
      );
    }
    const now = (await one<string>(client, `select current_setting('archive_command')`)) ?? '';
    const ours = engine.archiveCommand(cluster);
    if (now === ours) return 'archiving';
    if (now !== '' && now !== '(disabled)' && !engine.isOurs(cluster, now)) {
      throw failure(
        'BadRequest',
        `archive_command on ${cluster.context.host} is somebody else's, and was left alone`,
        'Remove it if Lifeboat is to archive: alter system reset archive_command',
      );
    }
    await checkpoint('before setting archive_command');
    await client.query(`alter system set archive_command = '${ours.replaceAll("'", "''")}'`);
    await client.query('select pg_reload_conf()');
    await checkpoint('after setting archive_command');
    return 'archiving, by the command of Lifeboat';
  });
}

/**
 * The library that archives in the place of archive_command; undefined where there is none. PostgreSQL 15 and later
 * know it.
 */
export async function libraryThatArchives(client: Client): Promise<string | undefined> {
  return (await one<string | null>(client, `select nullif(current_setting('archive_library', true), '')`)) ?? undefined;
}

/** By the kinds of the locations: a disk is mounted, an object store answers and lets us in. */
function whatToDo(locations: LocationPlan[]): string {
  const directories = locations.some(({ directory }) => directory !== undefined);
  const stores = locations.some(({ s3, azure, gcs }) => (s3 ?? azure ?? gcs) !== undefined);
  const servers = locations.some(({ sftp }) => sftp !== undefined);
  const lines = [
    ...(directories ? ['mount its disk or make the directory'] : []),
    ...(stores
      ? [
          'see that the store answers at its endpoint, that caFile is the authority of its certificate and that the keys are right',
        ]
      : []),
    ...(servers ? ['see that the server answers, and that the user and the key are right'] : []),
  ].join('; ');
  return `${lines.charAt(0).toUpperCase()}${lines.slice(1)}; or correct the location in the plan. Then: lifeboat doctor`;
}

/** Makes every location ready that is not yet. Throws BadRequest when none is; returns, for each that is not, why. */
async function demandLocations(cluster: Cluster): Promise<Record<string, string>> {
  const locations = locationsOf(cluster);
  const unusable = await engineOf(cluster).prepare(cluster, locations);
  const lines = Object.entries(unusable).map(([location, why]) => `location ${location}: ${why}`);
  if (lines.length < locations.length) return unusable;
  throw failure(
    'BadRequest',
    `no location takes backups of ${cluster.database}: ${lines.join('; ')}`,
    whatToDo(locations.map((location) => cluster.context.plan.locations[location]!)),
  );
}

export interface ProtectResult {
  summary: string;
  timeline: number;
}

/**
 * Throws BadRequest when the archive has a segment of production's own timeline that production has not come to: it was
 * set back, and what it writes now has names that are taken. Every later segment would wait behind that one for ever,
 * and every backup for its WAL.
 */
export async function demandArchivable(cluster: Cluster): Promise<void> {
  // Listed first: the server writes on meanwhile, and is never behind what it has archived.
  const archived = await endOfArchive(cluster);
  const now = await withClient(cluster, { database: 'postgres' }, askRole);
  if (now.role === 'standby') return;
  const ahead = archived.find(({ timeline, lsn }) => timeline === now.timeline && !reaches(now.lsn!, lsn));
  if (!ahead) return;
  throw failure(
    'BadRequest',
    `${cluster.database} is at ${now.lsn} of timeline ${now.timeline}, and ${ahead.segment} is archived already, whole: the database came up with less than it had, and nothing that it writes on this timeline can be archived`,
    `Restore what it had, which gives it a timeline of its own: ${recoverCommand} --to latest (or: lifeboat decide skip, and it stays unprotected)`,
  );
}

/**
 * Proves that the database is protected again: the canary beats, and a WAL segment that is switched now arrives at
 * every location.
 */
export const protect = (context: HostContext): Capability<{ database: string; incident: string }, ProtectResult> => ({
  async rehearse({ database }) {
    const cluster = clusterOf(context, database);
    const { unreadable } = await repositoryInfo(cluster);
    const [first] = Object.entries(unreadable);
    if (first)
      throw failure(
        'LocationUnreachable',
        `location ${first[0]} cannot be read: ${first[1]}`,
        'Is it mounted? Are its credentials there?',
      );
    return { summary: 'could be protected again: the locations answer', timeline: 0 };
  },
  async execute({ database }) {
    const cluster = clusterOf(context, database);
    await ensureArchiving(cluster);
    await demandArchivable(cluster);
    const canary = await beatOnce(cluster);
    await forgetSetBack(cluster);
    progress({ what: 'waiting for a WAL segment to arrive at every location' });
    const away = Object.entries(await engineOf(cluster).check(cluster)).map(([location, why]) => `${location}: ${why}`);
    const timeline = await currentTimeline(cluster);
    const arrives = away.length === 0 ? 'WAL arrives at every location' : `WAL arrives, but NOT at ${away.join('; ')}`;
    return { summary: `canary ${canary?.seq ?? 'unknown'} beats, ${arrives}, timeline ${timeline}`, timeline };
  },
});
