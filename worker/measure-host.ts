import { type Component, componentsOf } from '../activities/alerts/components.js';
import { providerOf } from '../activities/backups/providers.js';
import type { HostContext } from '../activities/context.js';
import { within } from '../activities/locations/transfer.js';
import { readCanary } from '../activities/postgres/canary.js';
import { one, withClient } from '../activities/postgres/connect.js';
import { databasesHere, type Here, ours } from '../activities/postgres/here.js';
import type { Gauges } from './metrics.js';
import { repeat } from './repeat.js';

const everySeconds = 15;
/** Locations are read whole for it. */
const backupsEverySeconds = 300;

/**
 * Measures, until the signal, what is worth a curve of the databases and backups of this host. What cannot be measured
 * has no value, and stops nothing.
 */
export async function measureHost(context: HostContext, gauges: Gauges, signal: AbortSignal): Promise<void> {
  await Promise.all([
    repeat(everySeconds, signal, async () => {
      const here = await databasesHere(context);
      await Promise.all(here.map((each) => measureDatabase(each, gauges)));
    }),
    // Apart: a location that hangs keeps no other curve from going on.
    repeat(backupsEverySeconds, signal, async () => {
      const all = componentsOf(context, Object.keys(context.plan.databases));
      const own = componentsOf(context, ours(context, await databasesHere(context)));
      const named = own.map(({ kind, name }) => `${kind} ${name}`);
      await Promise.all(
        all.map((each) => measureBackups(context, each, named.includes(`${each.kind} ${each.name}`), gauges)),
      );
    }),
  ]);
}

async function measureDatabase({ cluster, database, seen }: Here, gauges: Gauges): Promise<void> {
  const { host } = cluster.context;
  const tags = { database, host };
  const primary = seen.server === 'up' && seen.role === 'primary';
  gauges.set('lifeboat_database_primary', seen.server === 'up' ? Number(primary) : NaN, tags);
  if (!primary) {
    for (const name of ['lifeboat_archive_age_seconds', 'lifeboat_canary_age_seconds'] as const)
      gauges.set(name, NaN, tags);
    return;
  }
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

/** Of what another host answers for by now there is no value here. */
async function measureBackups(
  context: HostContext,
  { kind, name, locations }: Component,
  own: boolean,
  gauges: Gauges,
): Promise<void> {
  const listing = own
    ? await within(120_000, providerOf(kind).list(context, name), () => new Error('no answer')).catch(() => undefined)
    : undefined;
  for (const location of locations) {
    const newest = listing?.backups
      .filter((backup) => backup.location === location && !backup.damaged)
      .map(({ timestamp }) => Date.parse(timestamp))
      .sort((a, b) => b - a)[0];
    const age = newest === undefined ? NaN : (Date.now() - newest) / 1000;
    gauges.set('lifeboat_backup_age_seconds', age, { kind, component: name, location });
  }
}
