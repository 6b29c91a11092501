import { databasesOn } from '../../plan/access.js';
import type { Alert } from '../../vocabulary/alert.js';
import type { BackupListing, BackupRecord } from '../../vocabulary/backup.js';
import { providerOf } from '../backups/providers.js';
import { looking } from '../capability.js';
import type { HostContext } from '../context.js';
import { clusterOf } from '../postgres/cluster.js';
import { archiveAndReplicas } from './archive.js';
import { type Component, componentsOf } from './components.js';
import { lateBackups, unverified } from './due.js';
import { bounded } from './check.js';
import { nearFull } from './space.js';

/**
 * What is wrong now on this host, as alerts: backups that are late or unverified, an archive or a standby that falls behind, locations near full.
 * Everything is looked at beside everything else, for a minute at most; what cannot be looked at is named, and the whole never throws.
 */
export const lookForTrouble = (context: HostContext) =>
  looking<object, { found: Alert[] }>(async () => {
    const components = componentsOf(context);
    const [ofBackups, ofServers] = await Promise.all([
      Promise.all(components.map((component) => lookAtBackups(context, component))),
      Promise.all(
        databasesOn(context.plan, context.host)
          .filter(({ database, role }) => role === 'primary' && context.plan.databases[database]!.backups.physical !== undefined)
          .map(({ database }) => bounded(`database/${database}`, async () => archiveAndReplicas(clusterOf(context, database)))),
      ),
    ]);
    const backups = ofBackups.flatMap((one) => one.backups);
    const locations = [...new Set(components.flatMap((component) => component.locations))];
    const ofLocations = await Promise.all(
      locations.map((location) => bounded(`location/${location}`, () => nearFull(context, location, backups))),
    );
    return { found: [...ofBackups.flatMap(({ found }) => found), ...ofServers.flat(), ...ofLocations.flat()] };
  });

async function lookAtBackups(context: HostContext, component: Component): Promise<{ found: Alert[]; backups: BackupRecord[] }> {
  let backups: BackupRecord[] = [];
  const { kind, name } = component;
  const found = await bounded(`${kind} backups of ${name}/`, async () => {
    const listing: BackupListing = await providerOf(kind).list(context, name);
    backups = listing.backups;
    const { timezone } = context.plan;
    const now = new Date();
    return [...lateBackups(component, listing, timezone, now), ...unverified(component, listing, timezone, now)];
  });
  return { found, backups };
}
