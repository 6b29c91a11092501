import { appendFileSync, existsSync, readFileSync, readlinkSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import pg from 'pg';
import { startChild, tail } from './child.js';
import { createDebianCluster, dataDirectoryOf, type DebianCluster, logOf, startDebianCluster } from './debian.js';
import { databaseUser, makeDirectory, own, runAsDatabaseUser } from './os-user.js';
import { freePort } from './ports.js';
import { childrenOf, isAlive, signal } from './processes.js';
import { tool } from './tools.js';
import { GaveUp, until } from './wait.js';

/** The passwords of a lab: random, and different in each. */
export interface Passwords {
  superuser: string;
  app: string;
  replicator: string;
}

export interface ClusterOptions {
  /** The name of the host in the plan; standbys announce themselves with it. */
  host: string;
  /** The directory of that host in the lab; made if need be. Data and socket directories go below it. */
  directory: string;
  passwords: Passwords;
  /** The database that the shop lives in. */
  database?: string;
  /** fsync off: a test that kills processes loses nothing by it, only one that cuts the power would. */
  fast?: boolean;
  env?: NodeJS.ProcessEnv;
}

type Row = Record<string, unknown>;

/**
 * One PostgreSQL server of the lab. It keeps working when Lifeboat restarted the server, or put another data directory
 * in its place.
 */
export interface Cluster {
  host: string;
  database: string;
  directory: string;
  dataDirectory: string;
  socketDirectory: string;
  port: number;
  log: string;
  /** One that Debian's own programs made, and start. */
  debian?: DebianCluster;
  passwords: Passwords;
  start(): Promise<void>;
  /** fast: as an administrator does it; immediate: without a checkpoint. */
  stop(mode?: 'fast' | 'immediate'): Promise<void>;
  restart(): Promise<void>;
  /** SIGKILL to the postmaster and all of its children. */
  kill9(): Promise<void>;
  isRunning(): boolean;
  /** As the superuser over the socket, each on a connection of its own. */
  sql<T extends Row = Row>(text: string, values?: unknown[], database?: string): Promise<T[]>;
  /** As the application, over TCP. */
  asApp<T extends Row = Row>(text: string, values?: unknown[]): Promise<T[]>;
  /** What a client of the application connects with. */
  appConnection(): pg.ClientConfig;
}

/**
 * A new primary with data checksums, an empty database, and the roles `app` and `replicator`. Archiving is on, to
 * nowhere: Lifeboat points it at its locations.
 */
export async function createPrimary(options: ClusterOptions): Promise<Cluster> {
  const cluster = await describe(options);
  const passwordFile = join(cluster.directory, 'initdb.password');
  writeFileSync(passwordFile, cluster.passwords.superuser, { mode: 0o600 });
  own(passwordFile);
  await runAsDatabaseUser(
    tool('initdb'),
    [
      '--pgdata',
      cluster.dataDirectory,
      '--username',
      'postgres',
      '--pwfile',
      passwordFile,
      '--data-checksums',
      '--encoding',
      'UTF8',
      '--locale',
      'C',
      '--auth',
      'scram-sha-256',
      ...(options.fast ? ['--no-sync'] : []),
    ],
    cluster.directory,
  );
  rmSync(passwordFile);
  writeSettings(cluster, options.fast ?? false);
  writeFileSync(join(cluster.dataDirectory, 'pg_hba.conf'), accessRules);
  await cluster.start();
  await cluster.sql(`CREATE ROLE app LOGIN PASSWORD '${cluster.passwords.app}'`, [], 'postgres');
  await cluster.sql(
    `CREATE ROLE replicator LOGIN REPLICATION PASSWORD '${cluster.passwords.replicator}'`,
    [],
    'postgres',
  );
  await cluster.sql(`CREATE DATABASE ${cluster.database} OWNER app`, [], 'postgres');
  return cluster;
}

/**
 * A primary as `pg_createcluster` makes it on a team's server: peer authentication, ssl with Debian's own key, no
 * checksums, everything in Debian's places. Only archiving is turned on. As root alone. It goes with the lab of its
 * directory.
 */
export async function createDebianPrimary(options: ClusterOptions): Promise<Cluster> {
  const port = await freePort();
  const debian = await createDebianCluster(dirname(options.directory), port);
  const cluster = await describe(options, { ...debian, port });
  const { superuser, app, replicator } = cluster.passwords;
  await cluster.start();
  const statements = [
    `ALTER ROLE postgres PASSWORD '${superuser}'`,
    `CREATE ROLE app LOGIN PASSWORD '${app}'`,
    `CREATE ROLE replicator LOGIN REPLICATION PASSWORD '${replicator}'`,
    `CREATE DATABASE ${cluster.database} OWNER app`,
    `ALTER SYSTEM SET archive_mode = 'on'`,
    ...(options.fast ? [`ALTER SYSTEM SET fsync = 'off'`] : []),
  ];
  for (const sql of statements)
    await runAsDatabaseUser(
      tool('psql'),
      ['-X', '-q', '-h', cluster.socketDirectory, '-p', String(port), '-d', 'postgres', '-c', sql],
      cluster.directory,
    );
  await cluster.restart();
  return cluster;
}

/** A standby of it that streams, made by pg_basebackup. */
export async function createStandby(primary: Cluster, options: ClusterOptions): Promise<Cluster> {
  const cluster = await describe({ ...options, database: primary.database });
  const source = `host=127.0.0.1 port=${primary.port} user=replicator application_name=${options.host}`;
  await runAsDatabaseUser(
    tool('pg_basebackup'),
    [
      '--pgdata',
      cluster.dataDirectory,
      '--dbname',
      source,
      '--write-recovery-conf',
      '--wal-method',
      'stream',
      '--checkpoint',
      'fast',
      ...(options.fast ? ['--no-sync'] : []),
    ],
    cluster.directory,
    { PGPASSWORD: primary.passwords.replicator },
  );
  writeSettings(cluster, options.fast ?? false);
  await cluster.start();
  await until(`${options.host} streams from ${primary.host}`, () => isStreaming(primary, options.host));
  return cluster;
}

export async function isStreaming(primary: Cluster, standby: string): Promise<boolean> {
  const found = await primary.sql(
    `SELECT 1 FROM pg_stat_replication WHERE application_name = $1 AND state = 'streaming'`,
    [standby],
    'postgres',
  );
  return found.length > 0;
}

/** Waits until the standby has replayed everything that the primary has written. */
export async function caughtUp(primary: Cluster, standby: Cluster, seconds = 30): Promise<void> {
  const [position] = await primary.sql<{ lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn');
  await until(
    `${standby.host} has replayed ${position!.lsn}`,
    async () => {
      const [reached] = await standby.sql<{ yes: boolean }>('SELECT pg_last_wal_replay_lsn() >= $1::pg_lsn AS yes', [
        position!.lsn,
      ]);
      return reached?.yes;
    },
    seconds,
  );
}

/** Local connections need a password too, so that the plan's secret is really used. */
const accessRules = `
local all         all                       scram-sha-256
host  all         all         127.0.0.1/32  scram-sha-256
local replication all                       scram-sha-256
host  replication replicator  127.0.0.1/32  scram-sha-256
`;

/** Appended: the last value of a setting counts, so a standby overrides what it copied from its primary. */
function writeSettings(cluster: Cluster, fast: boolean): void {
  const settings = {
    listen_addresses: '127.0.0.1',
    port: cluster.port,
    unix_socket_directories: cluster.socketDirectory,
    max_connections: 60,
    shared_buffers: '16MB',
    wal_level: 'replica',
    max_wal_senders: 10,
    wal_keep_size: '256MB',
    hot_standby: 'on',
    // How soon a standby looks for its primary again: 5 s otherwise.
    wal_retrieve_retry_interval: '500ms',
    // In the data directory rather than /dev/shm, where a killed server would leave them behind.
    dynamic_shared_memory_type: 'mmap',
    archive_mode: 'on',
    archive_command: '',
    archive_timeout: 60,
    fsync: fast ? 'off' : 'on',
    full_page_writes: 'on',
    timezone: 'UTC',
    lc_messages: 'C',
    log_line_prefix: '%m [%p] %q%u@%d ',
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name} = '${value}'`);
  appendFileSync(join(cluster.dataDirectory, 'postgresql.conf'), `\n# ${cluster.host}\n${lines.join('\n')}\n`);
}

async function describe(options: ClusterOptions, debian?: DebianCluster & { port: number }): Promise<Cluster> {
  const directory = makeDirectory(options.directory);
  const dataDirectory = debian ? dataDirectoryOf(debian) : join(directory, 'data');
  const socketDirectory = debian ? '/var/run/postgresql' : makeDirectory(join(directory, 'socket'));
  const port = debian?.port ?? (await freePort());
  const database = options.database ?? 'shop';
  const log = debian ? logOf(debian) : join(directory, 'postgres.log');
  const { passwords } = options;
  // The child that we started may not be the server that runs now: Lifeboat stops and starts it, so its own pid file is
  // asked.
  const postmaster = () => readPidFile(dataDirectory);
  const isRunning = (): boolean => postmaster() !== undefined;
  /** Where it listens now: closed by an incident, on a socket of its own. */
  const at = (): string => postmaster()?.socketDirectory ?? socketDirectory;
  const appConnection = (): pg.ClientConfig => ({
    host: '127.0.0.1',
    port,
    user: 'app',
    password: passwords.app,
    database,
    connectionTimeoutMillis: 5000,
  });

  const start = async (): Promise<void> => {
    if (isRunning()) return;
    if (debian) return startDebianCluster(dirname(options.directory), debian);
    const child = await startChild({
      program: tool('postgres'),
      args: ['-D', dataDirectory],
      cwd: directory,
      env: { ...(options.env ?? process.env), LC_ALL: 'C' },
      log,
      user: databaseUser,
    });
    await until(
      `PostgreSQL on ${options.host}`,
      () => {
        if (!child.isAlive()) throw new GaveUp(`PostgreSQL on ${options.host} did not start:\n${child.tail()}`);
        return ['ready', 'standby'].includes(postmaster()?.status ?? '');
      },
      60,
      10,
    );
  };
  const end = async (name: NodeJS.Signals): Promise<void> => {
    const running = postmaster();
    if (!running) return;
    signal(running.pid, name);
    await until(`the end of PostgreSQL on ${options.host}`, () => !isAlive(running.pid), 60, 10).catch(
      (error: unknown) => {
        throw new Error(`PostgreSQL on ${options.host} did not stop:\n${tail(log)}`, { cause: error });
      },
    );
  };
  const stop = (mode: 'fast' | 'immediate' = 'fast'): Promise<void> => end(mode === 'fast' ? 'SIGINT' : 'SIGQUIT');

  return {
    host: options.host,
    database,
    directory,
    dataDirectory,
    socketDirectory,
    port,
    log,
    passwords,
    ...(debian ? { debian: { version: debian.version, name: debian.name } } : {}),
    start,
    stop,
    isRunning,
    appConnection,
    async restart() {
      await stop();
      await start();
    },
    async kill9() {
      const running = postmaster();
      if (!running) return;
      const all = [running.pid, ...childrenOf(running.pid)];
      for (const pid of all) signal(pid, 'SIGKILL');
      await until(`the end of PostgreSQL on ${options.host}`, () => all.every((pid) => !isAlive(pid)), 10, 10);
    },
    sql: (text, values = [], name = database) =>
      query(
        {
          // Over Debian's socket, the kernel says who calls.
          host: debian && at() === socketDirectory ? '127.0.0.1' : at(),
          ...{ port, user: 'postgres', password: passwords.superuser, database: name, connectionTimeoutMillis: 5000 },
        },
        text,
        values,
      ),
    asApp: (text, values = []) => query(appConnection(), text, values),
  };
}

/**
 * The server of a data directory, when it lives: where it listens (an incident moves that), and whether it is ready.
 */
export function readPidFile(
  dataDirectory: string,
): { pid: number; status: string; socketDirectory?: string } | undefined {
  try {
    const lines = readFileSync(join(dataDirectory, 'postmaster.pid'), 'utf8').split('\n');
    const pid = Number(lines[0]);
    return pid > 0 && isAlive(pid) && worksIn(pid, dataDirectory)
      ? { pid, status: (lines[7] ?? '').trim(), ...(lines[4] ? { socketDirectory: lines[4].trim() } : {}) }
      : undefined;
  } catch {
    return undefined;
  }
}

/** A server works in its data directory; a stale pid file may name somebody else's process by now. */
function worksIn(pid: number, dataDirectory: string): boolean {
  if (!existsSync('/proc/self/cwd')) return true;
  return readlinkSync(`/proc/${pid}/cwd`) === realpathSync(dataDirectory);
}

async function query<T extends Row>(config: pg.ClientConfig, text: string, values: unknown[]): Promise<T[]> {
  const client = new pg.Client(config);
  // Without a listener, a server that dies under an idle connection would end the test run.
  client.on('error', () => undefined);
  await client.connect();
  try {
    const result = await client.query<T>(text, values);
    return result.rows;
  } finally {
    await client.end().catch(() => undefined);
  }
}
