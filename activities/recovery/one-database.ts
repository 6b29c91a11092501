import { dirname, join } from 'node:path';
import type { BackupRecord } from '../../vocabulary/backup.js';
import { type Capability, progress } from '../capability.js';
import { checkpoint } from '../checkpoint.js';
import type { HostContext } from '../context.js';
import { failure } from '../errors.js';
import { freeBytes, makeDirectory, ownFor, removeTree } from '../files.js';
import { demandClaim } from '../postgres/claim.js';
import { demandNothingBehind, noteOwnWrites } from '../postgres/closing.js';
import { type Cluster, clusterOf, dataOwner, passwordOf } from '../postgres/cluster.js';
import { type Client, connect, one, withClient } from '../postgres/connect.js';
import { type Programs, programsFor } from '../postgres/programs.js';
import { demandScratch, type Scratch, scratchOf } from '../postgres/scratch.js';
import { ledger, stopServer } from '../postgres/server.js';
import { conninfo, type Source, withSource } from '../postgres/source.js';
import { startCopy } from './verify-restored.js';
import { endLeftoverOf, run } from '../run.js';
import { demandRestored } from '../backups/restored-mark.js';
import { bring } from '../backups/logical/archive-load.js';
import { type Archive, demandSpace, freshFolder, laidDownPrefix, layDown } from '../backups/logical/fetch.js';
import { judge } from '../backups/logical/load.js';
import { countInTransaction, dressStatements, readMade } from '../backups/logical/database-properties.js';
import { databases, dropTemporary, earlierOf, marks, markStatement, temporaryName } from '../backups/logical/marks.js';
import { demandRenamable, openStatement, staysBehind, takePlace } from '../backups/logical/replace.js';
import { rolesOf } from '../backups/logical/roles.js';

export interface OneInput {
  database: string;
  incident: string;
}
export interface OnePlaced {
  summary: string;
  host: string;
  /** What the database that was in place is called now, and its size in bytes. */
  aside: string;
  bytes: number;
  /** Where the restored copy of the whole cluster lies, which is no longer needed. */
  copy: string;
}

const set = { by: 'Put back by Lifeboat', aside: 'Rolled back by Lifeboat' };
const whose = (incident: string) => `incident ${incident}`;

/**
 * Puts one database of a restored cluster back, and leaves all others as they are: dumped out of the copy, loaded
 * beside under a temporary name, compared with the copy, and given its name while the old one is renamed aside. Nothing
 * is dropped. Marks on the databases say how far an earlier attempt came.
 */
export const putOneBack = (context: HostContext): Capability<OneInput & { behind?: number | null }, OnePlaced> => ({
  rehearse: ({ database }) =>
    Promise.resolve(nothingDone(clusterOf(context, database), 'could be dumped out of the copy')),

  async execute({ database, incident, behind: told = 0 }) {
    const cluster = clusterOf(context, database);
    await demandClaim(cluster, incident);
    const scratch = scratchOf(cluster, incident);
    await demandRestored(scratch, incident);
    const run = whose(incident);
    return withProduction(cluster, async (source, admin) => {
      const { name } = source;
      const mark = { restored: marks.restored(`the copy of ${incident}`, run), aside: marks.setAside(run) };
      const folder = join(layDown(context), `${laidDownPrefix}one-${database}`);
      const used = [ledger(cluster, 'one-dump'), ledger(cluster, 'one-load')];
      for (const each of used) await endLeftoverOf(each);
      const earlier = earlierOf(await databases(admin), database, run);
      let { aside } = earlier;
      const behind = earlier.placed === undefined ? await staysBehind(admin, name) : [];
      const temporary = temporaryName(database, run);
      try {
        if (earlier.placed === undefined) {
          await demandNothingBehind(cluster, incident, told);
          await demandRenamable(admin, name);
          if (!earlier.ready) await fill(cluster, scratch, source, admin, { temporary, folder, run });
          ({ aside } = await takePlace(source, admin, temporary, name, mark));
        }
      } catch (error) {
        await withProduction(cluster, (again, client) => dropTemporary(client, again)).catch(() => undefined);
        throw error;
      } finally {
        await removeTree(folder);
        await noteOwnWrites(cluster, incident);
        await stopServer(cluster, scratch.directory);
      }
      const bytes = aside === undefined ? 0 : Number(await one<string>(admin, 'select pg_database_size($1)', [aside]));
      const kept = aside === undefined ? '' : `; the old one is now the database ${aside}`;
      return {
        summary: [`${name} alone is as in the copy, and the other databases as they were${kept}`, ...behind].join('; '),
        host: context.host,
        aside: aside ?? '',
        bytes,
        copy: scratch.directory,
      };
    });
  },
});

/** Renames both back: the old database has its name again, and the one that was put back is kept aside. */
export const putOneAway = (context: HostContext): Capability<OneInput, OnePlaced> => ({
  rehearse: ({ database }) => Promise.resolve(nothingDone(clusterOf(context, database), 'nothing was renamed')),

  async execute({ database, incident }) {
    const cluster = clusterOf(context, database);
    await demandClaim(cluster, incident);
    const run = whose(incident);
    const mark = { restored: `${set.by} (${run})`, aside: `${set.aside} (${run})` };
    return withProduction(cluster, async (source, admin) => {
      const found = await databases(admin);
      const old = found.find((each) => each.mark === marks.setAside(run));
      const done = found.find((each) => each.mark === mark.aside);
      if (!old && !done)
        throw failure(
          'WrongTarget',
          `the database that incident ${incident} renamed aside is not there any more`,
          `Somebody renamed or dropped it: look at the databases of ${context.host} before you decide anything. Nothing was changed.`,
        );
      const aside = old ? (await takePlace(source, admin, old.name, source.name, mark)).aside : done!.name;
      const bytes = aside === undefined ? 0 : Number(await one<string>(admin, 'select pg_database_size($1)', [aside]));
      return {
        summary: `${source.name} is the old database again; the one that was put back is now the database ${aside ?? 'that nobody has'}`,
        host: context.host,
        aside: aside ?? '',
        bytes,
        copy: scratchOf(cluster, incident).directory,
      };
    });
  },
});

/**
 * For an incident that ends in the middle of it: the database lets its people in again, and nothing half loaded stays.
 */
export const settleOne = (context: HostContext): Capability<OneInput, { summary: string }> => ({
  rehearse: () => Promise.resolve({ summary: 'nothing was changed' }),
  async execute({ database, incident }) {
    const cluster = clusterOf(context, database);
    return withProduction(cluster, async (source, admin) => {
      const found = await databases(admin);
      const { placed } = earlierOf(found, database, whose(incident));
      await dropTemporary(admin, source);
      if (found.some(({ name, open }) => name === source.name && !open)) await admin.query(openStatement(source.name));
      return {
        summary:
          placed === undefined
            ? `the database ${source.name} is the one that was there`
            : `the database ${source.name} is the one out of the copy`,
      };
    });
  },
});

const nothingDone = (cluster: Cluster, summary: string): OnePlaced => ({
  summary,
  host: cluster.context.host,
  aside: '',
  bytes: 0,
  copy: '',
});

/** The server in place, wherever a fence has put its socket: what it says of itself is where programs find it. */
async function withProduction<T>(cluster: Cluster, work: (source: Source, admin: Client) => Promise<T>): Promise<T> {
  return withClient(
    cluster,
    { database: cluster.plan.name === 'postgres' ? 'template1' : 'postgres', statementTimeout: 0 },
    async (admin) => {
      const [directory = cluster.socketDirectory] = (
        (await one<string>(admin, 'show unix_socket_directories')) ?? ''
      ).split(/,\s*/);
      const password = await passwordOf(cluster);
      const port = String(await one<string>(admin, 'show port'));
      return work(await sourceAt(cluster, { directory, port, password }), admin);
    },
  );
}

async function sourceAt(
  cluster: Cluster,
  { directory, port, password }: { directory: string; port: string; password: string | undefined },
): Promise<Source> {
  const { plan, context, database: component } = cluster;
  return {
    ...{ component, context, plan, cluster, name: plan.name },
    env: {
      PGHOST: directory,
      PGPORT: port,
      PGUSER: plan.postgres.user,
      ...(password === undefined ? {} : { PGPASSWORD: password }),
    },
    owner: await dataOwner(cluster),
    connect: (database = plan.name) => connect(cluster, { database, socketDirectory: directory, statementTimeout: 0 }),
  };
}

interface Filling {
  temporary: string;
  folder: string;
  run: string;
}

/** Until it is whole under its temporary name, with exactly the rows of the copy. */
async function fill(
  cluster: Cluster,
  scratch: Scratch,
  source: Source,
  admin: Client,
  { temporary, folder, run: by }: Filling,
): Promise<void> {
  const { database: component, context } = cluster;
  await dropTemporary(admin, source);
  progress({ what: 'starting the restored copy' });
  await startCopy(cluster, scratch);
  const copy = await sourceAt(cluster, {
    directory: scratch.socketDirectory,
    port: String(cluster.port),
    password: undefined,
  });
  const server = parseInt((await one<string>(admin, 'show server_version'))!);
  const programs = await programsFor(
    server,
    ['pg_dump', 'pg_dumpall', 'pg_restore', 'psql'],
    source.plan.postgres.binDirectory,
  );
  const facts = await withSource(copy, copy.name, async (client) => {
    await demandScratch(client, scratch);
    const bytes = Number(await one<string>(client, 'select pg_database_size(current_database())'));
    const made = await readMade(client);
    await client.query('begin isolation level repeatable read read only');
    const rows = await countInTransaction(client, Object.keys(source.plan.verify.rows));
    await client.query('rollback');
    return { bytes, made, rows };
  });
  await makeDirectory(dirname(folder), undefined, 0o755);
  await freshFolder(folder, source.owner);
  // The database anew, and its dump, which is smaller.
  await demandSpace(cluster.dataDirectory, facts.bytes);
  await demandSpace(
    folder,
    facts.bytes + ((await freeBytes(folder)) === (await freeBytes(cluster.dataDirectory)) ? facts.bytes : 0),
  );
  const record = {
    id: by,
    location: scratch.directory,
    database: copy.name,
    tools: { pg_dump: programs.version, postgresql: String(server) },
    dataBytes: facts.bytes,
    rows: facts.rows,
    made: { ...facts.made, dumpBytes: facts.bytes },
  } as unknown as BackupRecord;
  const archive = await dumpCopy(cluster, copy, programs, folder, record);
  await stopServer(cluster, scratch.directory);
  await bring(
    {
      ...{ source, admin, server, database: temporary, made: facts.made, ledger: ledger(cluster, 'one-load') },
      clear: () => dropTemporary(admin, source),
      begun: async () => void (await admin.query(markStatement(temporary, marks.begun(component, by, 'begun')))),
      goOn: () =>
        'Fix what it says in the server that takes it (a role, an extension), then: lifeboat decide retry. To put back the whole copy instead, restore again, to the same target or another: lifeboat decide restore --to TARGET; then approve all of it',
    },
    () => Promise.resolve(archive),
  );
  progress({ what: 'comparing it with the copy' });
  const wrong = await judge(
    { ...source, plan: { ...source.plan, verify: { ...source.plan.verify, queries: [] } } },
    temporary,
    archive,
  );
  if (wrong.length > 0)
    throw failure(
      'VerificationFailed',
      `${copy.name} out of the copy is not as it was there: ${wrong.join('; ')}`,
      'Nothing was replaced.',
      {
        wrong,
      },
    );
  await withSource(source, temporary, (client) => client.query('analyze'));
  for (const statement of dressStatements(temporary, facts.made, await rolesOf(admin))) await admin.query(statement);
  await checkpoint('before marking the one database');
  await admin.query(markStatement(temporary, marks.begun(component, by, 'ready')));
  await checkpoint(`after marking the one database of ${context.host}`);
}

/** The database out of the copy, and the roles, some of which production may have lost since. */
async function dumpCopy(
  cluster: Cluster,
  copy: Source,
  { directory }: Programs,
  folder: string,
  record: BackupRecord,
): Promise<Archive> {
  const { owner, env } = copy;
  const path = join(folder, 'database.dump');
  progress({ what: `dumping ${copy.name} out of the copy` });
  const args = [
    '--format=custom',
    '--compress=1',
    '--no-password',
    `--file=${path}`,
    `--dbname=${conninfo(copy.name)}`,
  ];
  await run(join(directory, 'pg_dump'), args, { owner, env, ledger: ledger(cluster, 'one-dump'), quiet: true });
  const globals = await run(
    join(directory, 'pg_dumpall'),
    ['--globals-only', '--no-password', `--dbname=${conninfo(copy.name)}`],
    {
      owner,
      env,
      // Passwords are in it: nothing of it goes into a message.
      private: true,
    },
  );
  await ownFor(path, owner);
  return {
    path,
    format: 'custom',
    globals: globals.stdout,
    record,
    what: `${copy.name} out of the copy`,
    passedOver: [],
  };
}
