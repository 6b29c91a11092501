import { dirname, join } from 'node:path';
import { placeOf } from '../../../plan/access.js';
import { exists, makeDirectory, writeWhole } from '../../files.js';
import { type Cluster, dataOwner } from '../../postgres/cluster.js';
import { ledger } from '../../postgres/server.js';
import { info } from './pgbackrest-info.js';
import { home, pgbackrest, repo, writeConfig } from './pgbackrest-config.js';

/**
 * Written once a stanza was made at a location: one that is missing there later is a disk that is not mounted, and
 * never to be filled.
 */
const seenFile = (cluster: Cluster, location: string) => join(home(cluster), `${cluster.database}-${location}.seen`);

/**
 * Creates the stanza at the locations that have none yet; pgBackRest would wait for its own lock otherwise, while a
 * backup runs. Returns, for each that cannot be used, why: a missing mount must not be filled by mistake, nor a bucket
 * that lost its backups, and the others go on without it.
 */
export async function prepare(cluster: Cluster, locations: string[]): Promise<Record<string, string>> {
  const { unreadable } = await info(cluster, locations);
  for (const location of locations) {
    if (!(location in unreadable) && !(await exists(seenFile(cluster, location))))
      await writeWhole(seenFile(cluster, location), '');
  }
  const unusable: Record<string, string> = {};
  for (const [location, why] of Object.entries(unreadable)) {
    const reason = await create(cluster, location, why).catch((error: unknown) => (error as Error).message);
    if (reason) unusable[location] = reason;
  }
  return unusable;
}

/** Returns why it cannot be made there. */
async function create(cluster: Cluster, name: string, why: string): Promise<string | undefined> {
  const { context } = cluster;
  const location = context.plan.locations[name]!;
  await repo(cluster, name);
  // It answers, and has no stanza: of a location that does not answer nobody knows what it has.
  const lost = /missing stanza/.test(why);
  if (await exists(seenFile(cluster, name))) {
    if (location.directory)
      return `its backups are not there any more: is ${location.directory} mounted on ${context.host}?`;
    return lost
      ? `its backups are not there any more: is ${placeOf(location)} still the one that they were taken to?`
      : why;
  }
  if (!lost && !location.directory) return why;
  if (location.directory) {
    const parent = dirname(location.directory);
    if (!(await exists(parent))) return `${parent} is not there on ${context.host}: is its disk mounted?`;
    await makeDirectory(location.directory, await dataOwner(cluster), 0o750);
  }
  // stanza-create works on every location of its configuration, and one that cannot be reached would fail it for all.
  const config = await writeConfig(cluster, {
    file: join(home(cluster), `${cluster.database}-new.conf`),
    locations: [name],
  });
  await pgbackrest(cluster, ['stanza-create'], { ledger: ledger(cluster, 'pgbackrest-stanza-create') }, config);
  await writeWhole(seenFile(cluster, name), '');
  return undefined;
}
