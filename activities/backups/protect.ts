import { type Capability, progress } from '../capability.js';
import type { HostContext } from '../context.js';
import { failure } from '../errors.js';
import { beatOnce } from '../postgres/canary.js';
import { type Cluster, clusterOf } from '../postgres/cluster.js';
import { one, withClient } from '../postgres/connect.js';
import { currentTimeline } from '../postgres/standby.js';
import { archiveCommand, createStanza, pgbackrest, repositoryInfo } from './pgbackrest.js';

/**
 * Makes WAL archiving work: the stanza exists at every location and PostgreSQL archives by Lifeboat's command. A command that somebody else
 * configured is left alone, and said; archive_mode needs a restart, which is not ours to do.
 */
export async function ensureArchiving(cluster: Cluster): Promise<string> {
  await demandStanza(cluster);
  return withClient(cluster, { database: 'postgres' }, async (client) => {
    if (await one<boolean>(client, 'select pg_is_in_recovery()')) return 'a standby does not archive';
    if ((await one<string>(client, `select current_setting('archive_mode')`)) === 'off') {
      throw failure(
        'BadRequest',
        `archive_mode is off on ${cluster.context.host}: no WAL is archived, and nothing since a backup could be recovered`,
        'Set archive_mode = on and wal_level = replica in postgresql.conf, and restart the server when it suits.',
      );
    }
    const now = (await one<string>(client, `select current_setting('archive_command')`)) ?? '';
    const ours = archiveCommand(cluster);
    if (now === ours) return 'archiving';
    if (now !== '' && now !== '(disabled)' && !/pgbackrest .*archive-push %p$/.test(now)) {
      throw failure(
        'BadRequest',
        `archive_command on ${cluster.context.host} is somebody else's, and was left alone`,
        'Remove it if Lifeboat is to archive: alter system reset archive_command',
      );
    }
    await client.query(`alter system set archive_command = '${ours.replaceAll("'", "''")}'`);
    await client.query('select pg_reload_conf()');
    return 'archiving, by the command of Lifeboat';
  });
}

/** Creates the stanza where it is missing; pgBackRest would wait for its own lock otherwise, while a backup runs. */
async function demandStanza(cluster: Cluster): Promise<void> {
  const info = await repositoryInfo(cluster);
  if (info.systemIdentifier === undefined || Object.keys(info.unreadable).length > 0) await createStanza(cluster);
}

export interface ProtectResult {
  summary: string;
  timeline: number;
}

/** Proves that the database is protected again: the canary beats, and a WAL segment that is switched now arrives at every location. */
export const protect = (context: HostContext): Capability<{ database: string; incident: string }, ProtectResult> => ({
  async rehearse({ database }) {
    const cluster = clusterOf(context, database);
    await pgbackrest(cluster, ['info']);
    return { summary: 'could be protected again: the locations answer', timeline: 0 };
  },
  async execute({ database }) {
    const cluster = clusterOf(context, database);
    await ensureArchiving(cluster);
    const canary = await beatOnce(cluster);
    progress({ what: 'waiting for a WAL segment to arrive at every location' });
    await pgbackrest(cluster, ['--archive-timeout=120', 'check']);
    const timeline = await currentTimeline(cluster);
    return { summary: `canary ${canary?.seq ?? 'unknown'} beats, WAL arrives at every location, timeline ${timeline}`, timeline };
  },
});
