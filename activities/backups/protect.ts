import { type Capability, progress } from '../capability.js';
import type { HostContext } from '../context.js';
import { checkpoint } from '../checkpoint.js';
import { failure } from '../errors.js';
import { beatOnce } from '../postgres/canary.js';
import { type Cluster, clusterOf } from '../postgres/cluster.js';
import { one, withClient } from '../postgres/connect.js';
import { ledger } from '../postgres/server.js';
import { currentTimeline } from '../postgres/standby.js';
import { archiveCommand, createStanzas, locationsOf, noteSeen, pgbackrest, repositoryInfo } from './pgbackrest.js';

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
    // Of another place of its configuration, it is still ours; of another stanza, it is somebody else's pgBackRest.
    if (now !== '' && now !== '(disabled)' && !now.endsWith(` --stanza=${cluster.stanza} archive-push %p`)) {
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

/** Creates the stanza where it is missing; pgBackRest would wait for its own lock otherwise, while a backup runs. */
async function demandStanza(cluster: Cluster): Promise<void> {
  const { unreadable } = await repositoryInfo(cluster);
  const missing = Object.keys(unreadable);
  await noteSeen(
    cluster,
    locationsOf(cluster).filter((location) => !missing.includes(location)),
  );
  if (missing.length === 0) return;
  const unusable = Object.entries(await createStanzas(cluster, missing)).map(([location, why]) => `location ${location}: ${why}`);
  if (unusable.length < locationsOf(cluster).length) {
    for (const line of unusable) console.error(`${cluster.database}: ${line}`);
    return;
  }
  throw failure(
    'BadRequest',
    `no location takes backups of ${cluster.database}: ${unusable.join('; ')}`,
    'Mount its disk, create the directory, or correct the location in the plan.',
  );
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
    await pgbackrest(cluster, ['--archive-timeout=120', 'check'], { ledger: ledger(cluster, 'pgbackrest-check') });
    const timeline = await currentTimeline(cluster);
    return { summary: `canary ${canary?.seq ?? 'unknown'} beats, WAL arrives at every location, timeline ${timeline}`, timeline };
  },
});
