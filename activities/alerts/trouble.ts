import type { Alert } from '../../vocabulary/alert.js';
import type { BackupListing, BackupRecord } from '../../vocabulary/backup.js';
import { providerOf } from '../backups/providers.js';
import { looking } from '../capability.js';
import type { HostContext } from '../context.js';
import { databasesHere, type Here, ours, outOfDate } from '../postgres/here.js';
import { archiveAndReplicas } from './archive.js';
import { type Component, componentsOf } from './components.js';
import { behindRpo, lateBackups, unverified } from './due.js';
import { bounded } from './check.js';
import { nearFull } from './space.js';

/**
 * What is wrong now on this host, as alerts: backups that are late or unverified, an archive or a standby that falls
 * behind, locations near full. Everything is looked at beside everything else, for a minute at most; what cannot be
 * looked at is named, and the whole never throws.
 */
export const lookForTrouble = (context: HostContext) =>
  looking<object, { found: Alert[] }>(async () => {
    const here = await databasesHere(context);
    const components = componentsOf(context, ours(context, here));
    const [ofBackups, ofServers] = await Promise.all([
      Promise.all(components.map((component) => lookAtBackups(context, component))),
      Promise.all(
        here
          .filter(({ cluster, role }) => role === 'primary' && cluster.plan.backups.physical !== undefined)
          .map(({ cluster, database }) => bounded(`database/${database}`, () => archiveAndReplicas(cluster))),
      ),
    ]);
    const backups = ofBackups.flatMap((one) => one.backups);
    const locations = [...new Set(components.flatMap((component) => component.locations))];
    const ofLocations = await Promise.all(
      locations.map((location) => bounded(`location/${location}`, () => nearFull(context, location, backups))),
    );
    return {
      found: [
        ...here.flatMap(planIsOld),
        ...ofBackups.flatMap(({ found }) => found),
        ...ofServers.flat(),
        ...ofLocations.flat(),
      ],
    };
  });

/** Told by the host that is the primary now; of one that is a standby only the plan's own can tell that nobody is. */
function planIsOld(here: Here): Alert[] {
  const found = outOfDate(here);
  if (!found) return [];
  const { database, role } = here;
  return [{ key: `plan/${database}/${role}`, severity: 'warning', title: found.says, text: found.hint }];
}

async function lookAtBackups(
  context: HostContext,
  component: Component,
): Promise<{ found: Alert[]; backups: BackupRecord[] }> {
  let backups: BackupRecord[] = [];
  const { kind, name } = component;
  const found = await bounded(`${kind} backups of ${name}/`, async () => {
    const listing: BackupListing = await providerOf(kind).list(context, name);
    backups = listing.backups;
    const { timezone } = context.plan;
    const now = new Date();
    return [
      ...lateBackups(component, listing, timezone, now),
      ...behindRpo(component, listing, now),
      ...unverified(component, listing, timezone, now),
    ];
  });
  return { found, backups };
}
