import { basename, dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { placeOf } from '../../../plan/access.js';
import { failure } from '../../errors.js';
import { exists, makeDirectory, ownFor, writeWhole } from '../../files.js';
import { withLocation } from '../../locations/open.js';
import { type Cluster, controlData, dataOwner } from '../../postgres/cluster.js';
import { configPrefix, folderOf, home, walg, writeConfig } from './wal-g-config.js';
import { markOf, readMark } from './wal-g-store.js';

/**
 * Written once a location was made ready: what is missing there later is a disk that is not mounted, and never to be
 * filled.
 */
const seenFile = (cluster: Cluster, location: string) =>
  join(home(cluster), `${configPrefix(cluster)}${location}.seen`);

/** Makes locations ready that are not yet. Returns, for each that cannot be used, why; the others go on without it. */
export async function prepare(cluster: Cluster, locations: string[]): Promise<Record<string, string>> {
  const reasons = await Promise.all(
    locations.map((location) => makeReady(cluster, location).catch((error: unknown) => (error as Error).message)),
  );
  return Object.fromEntries(
    locations.flatMap((location, at) => (reasons[at] === undefined ? [] : [[location, reasons[at]]])),
  );
}

/** Returns why it cannot be used. */
async function makeReady(cluster: Cluster, name: string): Promise<string | undefined> {
  const { context } = cluster;
  const location = context.plan.locations[name]!;
  await writeConfig(cluster, [name]);
  const { systemIdentifier } = await controlData(cluster, cluster.dataDirectory);
  const seen = await exists(seenFile(cluster, name));
  if (location.directory && !(await exists(location.directory))) {
    if (seen) return `its backups are not there any more: is ${location.directory} mounted on ${context.host}?`;
    if (!(await exists(dirname(location.directory))))
      return `${dirname(location.directory)} is not there on ${context.host}: is its disk mounted?`;
    await makeDirectory(location.directory, await dataOwner(cluster), 0o750);
  }
  return withLocation(context, name, async (open) => {
    const mark = await readMark(cluster, open);
    if (mark && mark.systemIdentifier !== systemIdentifier)
      return `its backups are of another database cluster (${mark.systemIdentifier}; this is ${systemIdentifier}): another system of the same name goes there, or the database was made anew; then give the location another prefix`;
    if (!mark && seen)
      return location.directory
        ? `its backups are not there any more: is ${location.directory} mounted on ${context.host}?`
        : `its backups are not there any more: is ${placeOf(location)} still the one that they were taken to?`;
    // WAL-G, which runs as the owner of the data, writes there; and it makes folders that all can read.
    if (location.directory)
      for (const folder of ['wal-g', folderOf(cluster)])
        await makeDirectory(join(location.directory, folder), await dataOwner(cluster), 0o750);
    if (!mark)
      await open.put(markOf(cluster), Readable.from([Buffer.from(`${JSON.stringify({ systemIdentifier })}\n`)]));
    // Read by WAL-G below.
    if (location.directory) await ownFor(join(location.directory, markOf(cluster)), await dataOwner(cluster));
    if (location.encryption) await demandEncryption(cluster, name);
    if (!seen) await writeWhole(seenFile(cluster, name), '');
    return undefined;
  });
}

/**
 * A build without libsodium says so as soon as it is to decrypt something. What it is asked for is not encrypted: only
 * its words count.
 */
async function demandEncryption(cluster: Cluster, location: string): Promise<void> {
  const { lines } = await walg(cluster, location, ['st', 'cat', '--decrypt', basename(markOf(cluster))], {
    accept: [1],
    timeout: 60_000,
  });
  if (lines.some((line) => /configure crypter|compiled with/i.test(line))) throw noLibsodium(cluster, location);
}

export const noLibsodium = (cluster: Cluster, location: string) =>
  failure(
    'BadRequest',
    `location ${location} is encrypted, and the wal-g of ${cluster.context.host} was built without libsodium: it cannot encrypt`,
    'Install a wal-g with libsodium (the releases of WAL-G have it), or use engine: pgbackrest. Nothing is kept there unencrypted.',
  );
