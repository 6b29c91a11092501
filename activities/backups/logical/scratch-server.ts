import { execFile } from 'node:child_process';
import { lstat, mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { checkpoint } from '../../checkpoint.js';
import type { HostContext } from '../../context.js';
import { failure } from '../../errors.js';
import { ownFor, removeTree } from '../../files.js';
import { amcheck } from '../../postgres/amcheck.js';
import { type CheckSession, prepareSession } from '../../postgres/check-session.js';
import { one } from '../../postgres/connect.js';
import type { Programs } from '../../postgres/programs.js';
import { relationsOf } from '../../postgres/relations.js';
import { endOrphans, postmasterPid } from '../../postgres/server.js';
import { programOptions } from '../../postgres/session.js';
import { openSession, type Source, withSource } from '../../postgres/source.js';
import { byRelation, describeDamage } from '../../postgres/structure.js';
import { socketDirectory as socketDirectoryOf } from '../../socket-directory.js';
import { endLeftoverOf, type Ledger, type Owner, ownerOf, run, tail } from '../../run.js';

/** A server of its own for a test restore: empty, reached by its socket alone, gone afterwards. */
export interface ScratchServer {
  directory: string;
  socketDirectory: string;
  source: Source;
  ledger: (name: string) => Ledger;
}

/**
 * Whom it runs as: PostgreSQL refuses to run as root. Then it is the owner of the scratch directory, or the user
 * `postgres`.
 */
export async function scratchOwner({ plan, host }: HostContext): Promise<Owner | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const scratch = plan.hosts[host]?.scratch;
  const owner = scratch ? await ownerOf(scratch).catch(() => undefined) : undefined;
  if (owner) return owner;
  const id = async (flag: string) => Number((await promisify(execFile)('id', [flag, 'postgres'])).stdout);
  return Promise.all([id('-u'), id('-g')]).then(
    ([uid, gid]) => ({ uid, gid }),
    () => {
      throw failure(
        'ToolMissing',
        `the agent of ${host} is root, PostgreSQL must not be, and there is no user postgres`,
        'Name a scratch directory of the host in the plan: its owner is whom the server runs as.',
      );
    },
  );
}

/**
 * Where the scratch server of a component is. One at a time of each purpose: it is the same in every run. `test`: a
 * whole restore; `schema`: one of the schema alone, which must not wait for that.
 */
export async function scratchServer(
  context: HostContext,
  component: string,
  purpose: 'test' | 'schema' = 'test',
): Promise<ScratchServer> {
  const base = context.plan.hosts[context.host]?.scratch ?? context.state;
  const directory = join(base, `lifeboat-${purpose}-${component}`);
  const socketDirectory = socketDirectoryOf(context.state, `${purpose} ${directory}`);
  const owner = await scratchOwner(context);
  const plan = context.plan.databases[component]!;
  const common = { component, context };
  const session = { host: socketDirectory, port: 5432, user: 'postgres', ssl: false };
  const source: Source = {
    ...common,
    plan,
    name: plan.name,
    env: { PGHOST: socketDirectory, PGPORT: '5432', PGUSER: 'postgres', PGOPTIONS: programOptions() },
    owner,
    connect: (database = plan.name) => openSession(common, [session], undefined, database),
  };
  const ledger = (name: string): Ledger => ({
    directory: join(context.state, 'running'),
    name: `${component}-${purpose}-${name}`,
  });
  return { directory, socketDirectory, source, ledger };
}

/** Stops it and removes all of it; what a killed attempt left too. */
export async function removeScratch({ directory, socketDirectory, ledger }: ScratchServer): Promise<void> {
  for (const name of ['initdb', 'start', 'load']) await endLeftoverOf(ledger(name));
  const data = join(directory, 'data');
  const pid = await postmasterPid(data);
  // SIGQUIT: it ends at once, and nothing of it is needed any more.
  if (pid) process.kill(pid, 'SIGQUIT');
  for (let left = 200; left > 0 && (await postmasterPid(data)); left -= 1) {
    if (left === 100) process.kill(pid!, 'SIGKILL');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await endOrphans(data);
  await checkpoint('before removing the scratch server');
  await removeTree(directory);
  if (await ours(socketDirectory)) await removeTree(socketDirectory);
  await checkpoint('after removing the scratch server');
}

const ours = async (path: string): Promise<boolean> => {
  const found = await lstat(path).catch(() => undefined);
  return found !== undefined && found.isDirectory() && (found.mode & 0o077) === 0;
};

/**
 * Makes it anew and starts it: no network, nothing written through to the disk, since nothing of it lasts.
 * Source: PostgreSQL manual, initdb, "Non-Durable Settings".
 */
export async function startScratch(server: ScratchServer, { directory: bin }: Programs): Promise<void> {
  const { directory, socketDirectory, source, ledger } = server;
  const { owner } = source;
  const data = join(directory, 'data');
  const log = join(directory, 'server.log');
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await ownFor(directory, owner);
  await mkdir(socketDirectory, { mode: 0o700 });
  await ownFor(socketDirectory, owner);
  await run(
    join(bin, 'initdb'),
    [
      '--pgdata',
      data,
      '--username',
      'postgres',
      '--auth',
      'trust',
      '--encoding',
      'UTF8',
      '--locale',
      'C',
      '--no-sync',
      '--no-instructions',
    ],
    { owner, ledger: ledger('initdb') },
  );
  const settings = {
    listen_addresses: '',
    unix_socket_directories: socketDirectory,
    fsync: 'off',
    full_page_writes: 'off',
    synchronous_commit: 'off',
    wal_level: 'minimal',
    max_wal_senders: '0',
    archive_mode: 'off',
    maintenance_work_mem: '256MB',
    max_wal_size: '4GB',
    max_logical_replication_workers: '0',
    log_destination: 'stderr',
    logging_collector: 'off',
  };
  const flags = [
    '-p 5432',
    ...Object.entries(settings).map(([key, value]) => `-c ${key}='${value.replaceAll("'", "\\'")}'`),
  ];
  await checkpoint('before starting the scratch server');
  await run(join(bin, 'pg_ctl'), ['-D', data, '-l', log, '-w', '-t', '120', '-o', flags.join(' '), 'start'], {
    owner,
    ledger: ledger('start'),
  }).catch(async (error: unknown) => {
    const said = await readFile(log, 'utf8').catch(() => '');
    if (said === '') throw error;
    throw failure(
      'ServerFailed',
      `the scratch server did not start: ${tail(said.split('\n').filter(Boolean))}`,
      `Read ${log} on the host.`,
    );
  });
  await checkpoint('after starting the scratch server');
}

/**
 * amcheck over the restored database: heap and indexes. `doubts`: a sentence for each relation that is damaged;
 * `notes`: why it was not looked.
 */
export async function amcheckScratch(
  { source }: ScratchServer,
  database: string,
): Promise<{ doubts: string[]; notes: string[] }> {
  const session: CheckSession = (name, work) =>
    withSource(source, name, async (client) => {
      await prepareSession(client);
      return work(client);
    });
  const [oid, relations] = await session(database, async (client) => [
    await one<number>(client, 'select oid from pg_database where datname = current_database()'),
    await relationsOf(client),
  ]);
  const found = await amcheck(session, { oid: oid!, name: database }, relations, source.context.host);
  return {
    doubts: byRelation(found.damage).map((damage) => describeDamage(damage, database)),
    notes: found.notChecked.map((line) => `not checked: ${line}`),
  };
}
