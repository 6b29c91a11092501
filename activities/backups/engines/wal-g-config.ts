import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { physicalOf } from '../../../plan/access.js';
import type { LocationPlan } from '../../../plan/schema.js';
import { secretOf } from '../../context.js';
import { failure } from '../../errors.js';
import { makeDirectory, ownFor, writeWhole } from '../../files.js';
import { inTurn } from '../../in-turn.js';
import { type Cluster, controlData, dataOwner, defaultSegmentBytes, passwordOf } from '../../postgres/cluster.js';
import { run, type RunOptions, type RunResult } from '../../run.js';
import { programOptionsFor } from '../../postgres/session.js';

/**
 * Driving WAL-G: one file of settings for each location, written from the plan.
 * Source: wal-g.readthedocs.io, "STORAGES" and "PostgreSQL"; internal/config/config.go of WAL-G 3.0.7.
 */

export const home = (cluster: Cluster) => join(cluster.context.state, 'wal-g');
/** How the names of our files of settings begin; by that an archive_command is known as ours. */
export const configPrefix = (cluster: Cluster): string => `${cluster.stanza}--`;
export const configFile = (cluster: Cluster, location: string): string =>
  join(home(cluster), `${configPrefix(cluster)}${location}.json`);

/**
 * wal-push also pushes segments that are ready behind the one it was asked for, and notes them below $PGDATA/pg_wal, to
 * skip them when they are asked for; where there is no such folder, below /tmp. That note must never be shared, by two
 * locations or two databases: what one has would be taken for pushed to the other, and be missing there (tried: it is).
 * So each location has a folder of its own, which goes with its settings, and the command names it: pg_ctl puts PGDATA
 * into the environment of the server, which beats the file of settings.
 */
export const pushedFolder = (cluster: Cluster, location: string): string =>
  join(home(cluster), `pushed-${configPrefix(cluster)}${location}`);

export const allOf = (cluster: Cluster) =>
  physicalOf(cluster.plan).locations.filter((name) => !cluster.only || name === cluster.only);

/** Where WAL-G keeps a database, below the location. */
export const folderOf = (cluster: Cluster): string => `wal-g/${cluster.stanza}`;
const below = (prefix: string | undefined, folder: string): string => (prefix ? `${prefix}/${folder}` : folder);

export async function version(cluster: Cluster): Promise<string> {
  const { stdout } = await run('wal-g', ['--version'], { owner: await dataOwner(cluster) });
  // `wal-g version v3.0.7	1a2b3c4d	2025.01.01	PostgreSQL`; one that somebody built may not know its own.
  return /version\s+(\S+)/.exec(stdout)?.[1] ?? stdout.trim();
}

/** Writes the settings of these locations, readable by the owner of the data alone since they hold the secrets. */
export function writeConfig(cluster: Cluster, locations = allOf(cluster)): Promise<void> {
  return inTurn(`configuration in ${home(cluster)}`, async () => {
    const owner = await dataOwner(cluster);
    await makeDirectory(home(cluster), owner, 0o755);
    await ownFor(home(cluster), owner);
    for (const name of locations) {
      const location = cluster.context.plan.locations[name]!;
      for (const folder of [pushedFolder(cluster, name), join(pushedFolder(cluster, name), 'pg_wal')])
        await makeDirectory(folder, owner);
      const settings = { ...(await commonSettings(cluster)), ...(await storageOf(cluster, name, location)) };
      if (location.encryption)
        Object.assign(settings, encryptionOf(await secretOf(cluster.context, location.encryption)));
      await writeWhole(configFile(cluster, name), `${JSON.stringify(settings, undefined, 2)}\n`, {
        owner,
        mode: 0o600,
      });
    }
  });
}

async function commonSettings(cluster: Cluster): Promise<Record<string, string>> {
  const control = cluster.scratchOnly
    ? undefined
    : await controlData(cluster, cluster.dataDirectory).catch(() => undefined);
  const segmentBytes = control?.segmentBytes ?? defaultSegmentBytes;
  return {
    WALG_COMPRESSION_METHOD: 'zstd',
    WALG_DELTA_MAX_STEPS: '100000',
    WALG_UPLOAD_CONCURRENCY: '4',
    WALG_DOWNLOAD_CONCURRENCY: '4',
    ...(segmentBytes === defaultSegmentBytes ? {} : { WALG_PG_WAL_SIZE: String(segmentBytes / 1024 / 1024) }),
    // With one location PostgreSQL itself asks for them soon enough; with several, the others go on while one is away.
    TOTAL_BG_UPLOADED_LIMIT: allOf(cluster).length > 1 ? '32' : '1',
  };
}

async function storageOf(
  cluster: Cluster,
  name: string,
  { s3, gcs, directory }: LocationPlan,
): Promise<Record<string, string>> {
  const folder = folderOf(cluster);
  const secret = (reference: string) => secretOf(cluster.context, reference);
  if (s3)
    return {
      WALG_S3_PREFIX: `s3://${s3.bucket}/${below(s3.prefix, folder)}`,
      AWS_REGION: s3.region,
      ...(s3.endpoint ? { AWS_ENDPOINT: s3.endpoint } : {}),
      ...(s3.pathStyle ? { AWS_S3_FORCE_PATH_STYLE: 'true' } : {}),
      ...(s3.accessKeyId && s3.secretAccessKey
        ? { AWS_ACCESS_KEY_ID: await secret(s3.accessKeyId), AWS_SECRET_ACCESS_KEY: await secret(s3.secretAccessKey) }
        : {}),
      ...(s3.caFile ? { WALG_S3_CA_CERT_FILE: await authority(cluster, name, s3.caFile) } : {}),
      // Its default of 15, each later than the one before, would hold up the other locations for minutes.
      S3_MAX_RETRIES: '4',
      ...keepWal,
    };
  if (gcs) {
    // Tried with STORAGE_EMULATOR_HOST: Google's client in WAL-G 3.0.7 sends some requests there, and the others to
    // Google.
    if (gcs.endpoint)
      throw failure(
        'BadRequest',
        `WAL-G speaks to Google's own endpoint only, and location ${name} has another one: ${gcs.endpoint}`,
        'Leave out endpoint, or use engine: pgbackrest.',
      );
    return {
      WALG_GS_PREFIX: `gs://${gcs.bucket}/${below(gcs.prefix, folder)}`,
      ...(gcs.credentials
        ? { GOOGLE_APPLICATION_CREDENTIALS: await keyFile(cluster, name, await secret(gcs.credentials)) }
        : {}),
      GCS_MAX_RETRIES: '4',
      ...keepWal,
    };
  }
  if (directory) return { WALG_FILE_PREFIX: join(directory, folder) };
  throw failure(
    'BadRequest',
    `wal-g keeps no backups at location ${name}`,
    'It takes s3, gcs and directory; or use engine: pgbackrest.',
  );
}

/**
 * A segment with other contents is never replaced: two servers that archive to one place would destroy each other's.
 * Not for directories: there a killed push leaves a part under the segment's own name, which the next one must replace.
 */
const keepWal = { WALG_PREVENT_WAL_OVERWRITE: 'true' };

/**
 * WAL-G takes a key of 32 bytes: the SHA-256 of the passphrase, whatever that is. A build without libsodium ends with
 * an error when it is set.
 */
const encryptionOf = (passphrase: string): Record<string, string> => ({
  WALG_LIBSODIUM_KEY: createHash('sha256').update(passphrase).digest('hex'),
  WALG_LIBSODIUM_KEY_TRANSFORM: 'hex',
});

async function keyFile(cluster: Cluster, name: string, text: string): Promise<string> {
  const file = join(home(cluster), `${configPrefix(cluster)}${name}.google.json`);
  await writeWhole(file, text, { owner: await dataOwner(cluster), mode: 0o600 });
  return file;
}

/** A copy: the owner of the data need not be able to read what the agent can. Throws BadRequest. */
async function authority(cluster: Cluster, name: string, caFile: string): Promise<string> {
  const text = await readFile(caFile, 'utf8').catch((error: unknown) => {
    throw failure(
      'BadRequest',
      `the certificate authority of location ${name} cannot be read: ${(error as Error).message}`,
      'Put the file there, or correct caFile in the plan.',
    );
  });
  const file = join(home(cluster), `${configPrefix(cluster)}${name}.ca.pem`);
  await writeWhole(file, text, { owner: await dataOwner(cluster), mode: 0o600 });
  return file;
}

/** Runs WAL-G for one location of a database as the owner of its data. Throws ToolMissing, CommandFailed. */
export async function walg(
  cluster: Cluster,
  location: string,
  args: string[],
  options: RunOptions = {},
): Promise<RunResult> {
  await writeConfig(cluster, [location]);
  return run('wal-g', ['--config', configFile(cluster, location), ...args], {
    owner: await dataOwner(cluster),
    ...options,
    env: { ...(await sessionOf(cluster)), ...options.env },
  });
}

async function sessionOf(cluster: Cluster): Promise<Record<string, string>> {
  if (cluster.scratchOnly) return {};
  const password = await passwordOf(cluster);
  return {
    PGHOST: cluster.socketDirectory,
    PGPORT: String(cluster.port),
    PGUSER: cluster.plan.postgres.user,
    PGDATABASE: 'postgres',
    PGOPTIONS: await programOptionsFor(cluster.dataDirectory),
    ...(password ? { PGPASSWORD: password } : {}),
  };
}
