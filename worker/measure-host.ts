import { componentsOf } from '../activities/alerts/components.js';
import { providerOf } from '../activities/backups/providers.js';
import type { HostContext } from '../activities/context.js';
import { pause, readCanary } from '../activities/postgres/canary.js';
import { one, withClient } from '../activities/postgres/connect.js';
import { databasesHere, type Here, ours } from '../activities/postgres/here.js';
import type { Gauges } from './metrics.js';

const everySeconds = 15;
/** Locations are read whole for it. */
const backupsEverySeconds = 300;

/**
 * Measures, until the signal, what is worth a curve of the databases and backups of this host. What cannot be measured
 * has no value, and stops nothing.
 */
export async function measureHost(context: HostContext, gauges: Gauges, signal: AbortSignal): Promise<void> {
  let listedAt = 0;
  while (!signal.aborted) {
    const here = await databasesHere(context);
    await Promise.all(here.map((each) => measureDatabase(each, gauges)));
    if (Date.now() - listedAt > backupsEverySeconds * 1000) {
      listedAt = Date.now();
      await Promise.all(
        componentsOf(context, ours(context, here)).map((component) => measureBackups(context, component, gauges)),
      );
    }
    await pause(everySeconds * 1000, signal);
  }
}

async function measureDatabase({ cluster, database, seen }: Here, gauges: Gauges): Promise<void> {
  const { host } = cluster.context;
  const tags = { database, host };
  const primary = seen.server === 'up' && seen.role === 'primary';
  gauges.set('lifeboat_database_primary', seen.server === 'up' ? Number(primary) : NaN, tags);
  if (!primary) return;
  const since = await withClient(cluster, { statementTimeout: 5000 }, async (client) => ({
    archived: await one<string | null>(
      client,
      'select extract(epoch from clock_timestamp() - last_archived_time)::text from pg_stat_archiver',
    ),
    canary: await readCanary(client),
  })).catch(() => undefined);
  gauges.set('lifeboat_archive_age_seconds', Number(since?.archived ?? NaN), tags);
  gauges.set(
    'lifeboat_canary_age_seconds',
    since?.canary ? (Date.now() - Date.parse(since.canary.ts)) / 1000 : NaN,
    tags,
  );
}

async function measureBackups(
  context: HostContext,
  { kind, name, locations }: ReturnType<typeof componentsOf>[number],
  gauges: Gauges,
) {
  const listing = await providerOf(kind)
    .list(context, name)
    .catch(() => undefined);
  for (const location of locations) {
    const newest = listing?.backups
      .filter((backup) => backup.location === location && !backup.damaged)
      .map(({ timestamp }) => Date.parse(timestamp))
      .sort((a, b) => b - a)[0];
    gauges.set('lifeboat_backup_age_seconds', newest === undefined ? NaN : (Date.now() - newest) / 1000, {
      kind,
      component: name,
      location,
    });
  }
}
