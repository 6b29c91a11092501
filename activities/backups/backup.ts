import { recoverCommand } from '../../vocabulary/scenario.js';
import type { Capability } from '../capability.js';
import { checkpoint } from '../checkpoint.js';
import type { HostContext } from '../context.js';
import { failure } from '../errors.js';
import { claimedBy } from '../postgres/claim.js';
import { type Cluster, clusterOf } from '../postgres/cluster.js';
import { one, withClient } from '../postgres/connect.js';
import { isClosed } from '../postgres/fence.js';
import { takeKnownRows } from '../postgres/known-rows.js';
import type { PhysicalType } from '../../vocabulary/backup.js';
import type { BackupResult, TakeRequest } from '../../vocabulary/backup-work.js';
import type { BackupSet } from './engine.js';
import { stopIfCancelled } from './all-locations.js';
import { engineOf, locationsOf, repositoryInfo } from './engines.js';
import { keepConfiguration } from './kept-configuration.js';
import { dropStale, note } from './physical-records.js';
import { noBase } from './leads-to-now.js';
import { demandArchivable, ensureArchiving } from './protect.js';
import { expire, oneAtATime } from './retention.js';
import { verifyTaken } from './verify-taken.js';

/**
 * Takes a physical backup at every location and reads it back there. A location that fails is named, and the others go
 * on.
 */
export const backupPhysical = (context: HostContext): Capability<TakeRequest, BackupResult> => ({
  async rehearse({ component: database, type }) {
    const cluster = clusterOf(context, database);
    const info = await repositoryInfo(cluster);
    const unreadable = Object.entries(info.unreadable).map(([location, why]) => `${location}: ${why}`);
    return {
      summary: `could be taken at ${locationsOf(cluster).join(', ')}`,
      id: '',
      type,
      component: database,
      locations: [],
      bytes: 0,
      seconds: 0,
      failed: unreadable,
    };
  },

  async execute({ component: database, type, run, incident }) {
    const cluster = clusterOf(context, database);
    const holder = await claimedBy(cluster);
    if (holder && holder !== incident) {
      throw failure(
        'Held',
        `no backup is taken of ${database} while incident ${holder} is open on it`,
        'It is taken when the incident re-protects the database; or close the incident.',
      );
    }
    if (!incident && (await isClosed(cluster))) {
      throw failure(
        'Held',
        `no backup is taken of ${database} while it is closed: an incident ended and left it so`,
        `Recover it (${recoverCommand}), or resume on it as it stands: lifeboat abort --resume`,
      );
    }
    return oneAtATime(cluster, () =>
      takeEverywhere(cluster, { type: type as PhysicalType, run, ...(incident ? { incident } : {}) }),
    );
  },
});

async function takeEverywhere(
  cluster: Cluster,
  { type: asked, run, incident }: { type: PhysicalType; run: string; incident?: string },
): Promise<BackupResult> {
  const began = Date.now();
  const engine = engineOf(cluster);
  const { unusable } = await ensureArchiving(cluster);
  await demandArchivable(cluster);
  const usable = locationsOf(cluster).filter((one) => !(one in unusable));
  const { type, because } = await typeFor(cluster, asked, usable);
  const rows = await takeKnownRows(cluster).catch(() => undefined);
  const tools = await engine.tools(cluster);
  const taken: BackupSet[] = [];
  let verifying = 0;
  const failed = Object.entries(unusable).map(([location, why]) => `${location}: ${why}`);
  for (const location of usable) {
    try {
      let backup = await takenBy(cluster, run, location);
      if (!backup) {
        await engine.take(cluster, { type, run, location, rows: rows?.counts, away: Object.keys(unusable) });
        await checkpoint(`after the backup at a location`);
        backup = await takenBy(cluster, run, location);
      }
      if (!backup)
        throw failure(
          'CommandFailed',
          `${engine.name} says that it took the backup, and it is not listed at ${location}`,
          'Check the location: lifeboat backup list',
        );
      const read = Date.now();
      const { verified, says } = await verifyTaken(cluster, backup);
      verifying += Date.now() - read;
      await note(cluster, backup, {
        tools: { ...tools, ...(await postgresVersion(cluster)) },
        ...(verified ? { verified: { at: new Date().toISOString() } } : {}),
      });
      await keepConfiguration(cluster, backup.label, location).catch((error: unknown) => {
        stopIfCancelled(error);
        failed.push(
          `${location}: how the database is configured was not kept with the backup: ${(error as Error).message}`,
        );
      });
      sound(backup);
      taken.push(backup);
      failed.push(...says);
    } catch (error) {
      stopIfCancelled(error);
      failed.push(`${location}: ${(error as Error).message}`);
    }
  }
  for (const { location } of taken) {
    // While an incident is open nothing is expired: it may yet be restored from.
    const tidy = async () => {
      if (!incident) await expire(cluster, location);
      await dropStale(cluster, location, (await repositoryInfo(cluster, [location])).backups);
    };
    await tidy().catch((error: unknown) =>
      failed.push(`${location}: old backups were not expired: ${(error as Error).message}`),
    );
  }
  const first = taken[0];
  if (!first)
    throw failure(
      'CommandFailed',
      `no location took the backup: ${failed.join('; ')}`,
      'Check the locations: lifeboat doctor',
    );
  const result = {
    id: first.label,
    type,
    component: cluster.database,
    locations: taken.map(({ location }) => location),
    bytes: first.repositoryBytes,
    seconds: Math.round((Date.now() - began) / 100) / 10,
    verifySeconds: Math.round(verifying / 100) / 10,
  };
  const missing = failed.length > 0 ? `; NOT at ${failed.join('; ')}` : '';
  return {
    ...result,
    summary: `${type} backup ${first.label} at ${result.locations.join(', ')}${because}${missing}`,
    failed,
  };
}

/**
 * What is based on a backup of a timeline that production has left leads nowhere: a full one is taken instead, and that
 * is said.
 */
async function typeFor(
  cluster: Cluster,
  asked: PhysicalType,
  locations: string[],
): Promise<{ type: PhysicalType; because: string }> {
  if (asked === 'full') return { type: asked, because: '' };
  for (const location of locations) {
    const why = await noBase(cluster, location).catch(() => undefined);
    if (why) return { type: 'full', because: ` (full and not ${asked}: ${why})` };
  }
  return { type: asked, because: '' };
}

async function takenBy(cluster: Cluster, run: string, location: string): Promise<BackupSet | undefined> {
  const { backups } = await repositoryInfo(cluster, [location]);
  return backups.find((backup) => backup.annotations['lifeboat-run'] === run);
}

async function postgresVersion(cluster: Cluster): Promise<Record<string, string>> {
  const version = await withClient(cluster, { database: 'postgres' }, (client) =>
    one<string>(client, `select current_setting('server_version')`),
  ).catch(() => undefined);
  return version ? { postgresql: version } : {};
}

function sound(backup: BackupSet): void {
  if (!backup.pageErrors) return;
  throw failure(
    'BackupDamaged',
    `damaged pages were found in the database while ${backup.label} was taken`,
    `The database itself is damaged: ${recoverCommand}`,
  );
}
