import { readFile } from '../files.js';
import { lstat, readlink, realpath, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { failure } from '../errors.js';
import { ownerOf } from '../run.js';
import { type Cluster } from './cluster.js';
import { type Client, one, withClient } from './connect.js';
import { keptOpen } from './fence.js';
import { type Known, type KnownFile, readKnown, writeKnown } from './known-configuration.js';
import { mountOf } from './mounts.js';

/**
 * Notes what a running server says of itself, for the day on which its directory or its configuration is gone. A
 * configuration that would not be read again is not noted: the last good one stays. Throws WrongTarget when that server
 * serves another directory than the plan's.
 */
export async function noteCluster(cluster: Cluster): Promise<Known> {
  const before = await readKnown(cluster);
  const known = await withClient(cluster, { database: 'postgres' }, async (client): Promise<Known> => {
    const dataDirectory = (await one<string>(client, `select current_setting('data_directory')`))!;
    await demandSame(cluster, dataDirectory);
    const [systemIdentifier, version, mount, owner] = [
      (await one<string>(client, 'select system_identifier::text from pg_control_system()'))!,
      (await readFile(join(cluster.dataDirectory, 'PG_VERSION'), 'utf8')).trim(),
      await mountOf(dirname(cluster.dataDirectory)),
      await ownerOf(cluster.dataDirectory),
    ];
    const seen = {
      systemIdentifier,
      version,
      dataDirectory,
      real: cluster.dataDirectory,
      ...(mount ? { mount } : {}),
      ...(owner ? { owner } : {}),
    };
    const files = (await isGood(client)) ? await configuration(client, dataDirectory) : undefined;
    if (files) return { ...seen, configuredAt: new Date().toISOString(), files };
    return { ...seen, configuredAt: before?.configuredAt ?? '', files: before?.files ?? {} };
  });
  await writeKnown(cluster, known);
  return known;
}

/** By what the directories are, never by their names: a server may have been started by a link. */
async function demandSame(cluster: Cluster, served: string): Promise<void> {
  const [its, ours] = await Promise.all(
    [served, cluster.dataDirectory].map((path) => stat(path).catch(() => undefined)),
  );
  if (!its || !ours || (its.dev === ours.dev && its.ino === ours.ino)) return;
  throw failure(
    'WrongTarget',
    `the server on port ${cluster.port} of ${cluster.context.host} serves ${served}, and not ${cluster.named ?? cluster.dataDirectory}`,
    'Correct dataDirectory, port or socketDirectory in the plan.',
  );
}

async function isGood(client: Client): Promise<boolean> {
  const wrong = await one<string>(
    client,
    // A setting that waits for a restart, or that the command line overrides, is "not applied", and no mistake.
    `select (select count(*) from pg_file_settings f where error is not null and not exists (
               select from pg_settings s where s.name = f.name and (s.pending_restart or s.source = 'command line')))
          + (select count(*) from pg_hba_file_rules where error is not null)`,
  ).catch(() => '1');
  return Number(wrong) === 0;
}

async function configuration(client: Client, dataDirectory: string): Promise<Known['files'] | undefined> {
  const { rows } = await client.query<{ path: string }>(
    `select distinct sourcefile as path from pg_file_settings
     union select current_setting(name) from unnest(array['config_file', 'hba_file', 'ident_file']) name`,
  );
  const paths = [...new Set([...rows.map(({ path }) => path), join(dataDirectory, 'postgresql.auto.conf')])];
  const files: Known['files'] = {};
  for (const path of paths) {
    const found = await readConfigurationFile(path);
    // Only whole: half a configuration is none.
    if (!found) return undefined;
    files[path] = found;
  }
  return files;
}

/**
 * A configuration file as it stands; of one that an incident has closed, what it was before. Undefined when it is not
 * there.
 */
export async function readConfigurationFile(path: string): Promise<KnownFile | undefined> {
  try {
    const own = await lstat(path);
    const link = own.isSymbolicLink() ? await readlink(path) : undefined;
    const real = await realpath(path);
    const { mode } = await stat(real);
    const owner = await ownerOf(real);
    const text = await readFile(real, 'utf8');
    return {
      text: (await keptOpen(real, text)) ?? text,
      mode: mode & 0o777,
      ...(owner ? { owner } : {}),
      ...(link ? { link } : {}),
    };
  } catch {
    return undefined;
  }
}
