import { recoverCommand } from '../../vocabulary/scenario.js';
import { join } from 'node:path';
import type pg from 'pg';
import { onHost } from '../../plan/access.js';
import type { DatabasePlan } from '../../plan/schema.js';
import { cancelled } from '../capability.js';
import { type HostContext, secretOf } from '../context.js';
import { failure } from '../errors.js';
import { type Owner, ownerOf } from '../run.js';
import { claimedBy } from './claim.js';
import { type Cluster, clusterOf, dataOwner } from './cluster.js';
import { dial, one } from './connect.js';
import { connectionOf, readUrl } from './connection-url.js';
import { isClosed } from './fence.js';
import { type Programs, programsFor } from './programs.js';
import { type Limits, programOptions, sessionOptions, settle } from './session.js';

/** A database that programs connect to: over the local socket, or by the connection string of a managed one. */
export interface Source {
  /** Its name in the plan. */
  component: string;
  context: HostContext;
  plan: DatabasePlan;
  /** Its name in PostgreSQL. */
  name: string;
  /** What libpq reads; holds the password. The name of the database is not in it: see {@link conninfo}. */
  env: Record<string, string>;
  /** Whom programs run as: peer authentication asks. */
  owner: Owner | undefined;
  /** Where its files are on this host; a managed one has none here. */
  cluster?: Cluster;
  /** For who closes it. Throws ServerFailed. */
  connect(database?: string): Promise<pg.Client>;
}

/**
 * Resolves a database of the plan on this host. Throws BadRequest when there is none, WrongTarget when it is not on
 * this host, SecretMissing.
 */
export async function sourceOf(context: HostContext, component: string): Promise<Source> {
  const plan = Object.hasOwn(context.plan.databases, component) ? context.plan.databases[component] : undefined;
  if (!plan)
    throw failure(
      'BadRequest',
      `the plan of ${context.host} has no database "${component}"`,
      'Is the plan of this host the current one? Compare: lifeboat doctor',
    );
  const { postgres } = plan;
  const local = postgres.dataDirectory !== undefined && [postgres.primary, ...postgres.standbys].includes(context.host);
  const cluster = local ? clusterOf(context, component) : undefined;
  const common = { component, context, plan, name: plan.name, ...(cluster ? { cluster } : {}) };
  if (postgres.url) {
    const own = readUrl(await secretOf(context, postgres.url));
    const env = { ...own, PGOPTIONS: joined(own['PGOPTIONS'], programOptions()) };
    // A pooler that takes none from our sessions takes none from programs.
    const withoutOptions = () => void Object.assign(env, { PGOPTIONS: own['PGOPTIONS'] ?? '' });
    return {
      ...common,
      env,
      owner: undefined,
      connect: (database = plan.name) => openSession(common, connectionOf(own), undefined, database, withoutOptions),
    };
  }
  const password = postgres.password ? await secretOf(context, postgres.password) : undefined;
  const socket = onHost(postgres.socketDirectory, context.host);
  const port = onHost(postgres.port, context.host);
  const owner = cluster
    ? await dataOwner(cluster)
    : await ownerOf(join(socket, `.s.PGSQL.${port}`)).catch(() => undefined);
  const own = {
    PGHOST: socket,
    PGPORT: String(port),
    PGUSER: postgres.user,
    ...(password === undefined ? {} : { PGPASSWORD: password }),
  };
  const env = { ...own, PGOPTIONS: programOptions() };
  const connectOwner = password === undefined ? owner : undefined;
  return {
    ...common,
    env,
    owner,
    connect: (database = plan.name) => openSession(common, connectionOf(own), connectOwner, database),
  };
}

/** Connects, runs `work`, and closes. What runs for a cancelled activity ends with its connection. */
export async function withSource<T>(
  source: Source,
  database: string,
  work: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const signal = cancelled();
  signal?.throwIfAborted();
  const client = await source.connect(database);
  const end = () => void endSession(source, client);
  signal?.addEventListener('abort', end);
  try {
    return await work(client);
  } finally {
    signal?.removeEventListener('abort', end);
    await client.end().catch(() => undefined);
  }
}

async function endSession(source: Source, client: pg.Client): Promise<void> {
  const { processID } = client as unknown as { processID: number | null };
  const other = await source.connect('postgres').catch(() => undefined);
  await other?.query('select pg_terminate_backend($1)', [processID]).catch(() => undefined);
  await other?.end().catch(() => undefined);
}

const joined = (...options: (string | undefined)[]): string => options.filter(Boolean).join(' ');

/**
 * Of the protocol, of a setting's name or value: a pooler, or a server of another make, that takes no settings with the
 * start of a session.
 */
const takesNoOptions = /^(08P01|0A000|22|42)/;

/**
 * For who has a connection of its own to make: a server beside the real one. No statement and no lock has a time-out:
 * it dumps and restores. `withoutOptions` is told when a session could only be opened without settings at its start; it
 * has them all the same.
 */
export async function openSession(
  { component, context }: Pick<Source, 'component' | 'context'>,
  configs: pg.ClientConfig[],
  owner: Owner | undefined,
  database: string,
  withoutOptions?: () => void,
): Promise<pg.Client> {
  const open = async (config: pg.ClientConfig, limits?: Limits): Promise<pg.Client> => {
    const client = await dial(owner, { ...config, database, connectionTimeoutMillis: 15_000 });
    try {
      await client.connect();
      await settle(client, limits);
      return client;
    } catch (error) {
      await client.end().catch(() => undefined);
      throw error;
    }
  };
  let last: unknown;
  for (const config of configs) {
    try {
      return await open({ ...config, options: joined(config.options, sessionOptions()) });
    } catch (error) {
      last = error;
    }
    if (!takesNoOptions.test((last as { code?: string }).code ?? '')) continue;
    try {
      const client = await open({ ...config, options: config.options ?? '' }, {});
      withoutOptions?.();
      return client;
    } catch (error) {
      last = error;
    }
  }
  const url = context.plan.databases[component]?.postgres.url;
  const said = url?.startsWith('env:') ? url.slice('env:'.length) : undefined;
  const { code = '', message } = last as { code?: string; message: string };
  throw failure(
    'ServerFailed',
    `no connection to database ${database} of ${component} from ${context.host}: ${message}`,
    code === '3D000'
      ? `The server has no database ${database}: is databases.${component}.name right in the plan?`
      : `Does the server run, and is what ${said ?? `databases.${component}.postgres`} says of the connection right?`,
    { code },
  );
}

/**
 * A connection string that names a database and nothing else: any name, also one that looks like an option or a URL.
 */
export const conninfo = (database: string): string => `dbname='${database.replace(/[\\']/g, '\\$&')}'`;

/** The newest programs on this host that the server's version allows. */
export async function programsOf(source: Source, client: pg.Client): Promise<Programs & { server: string }> {
  const server = (await one<string>(client, 'show server_version'))!;
  const needed = ['pg_dump', 'pg_dumpall', 'pg_restore', 'psql'];
  return {
    ...(await programsFor(parseInt(server), needed, source.plan.postgres.binDirectory)),
    server: server.split(' ')[0]!,
  };
}

/** Throws BadRequest while an incident holds the database, or left it closed; unless it is that incident that asks. */
export async function demandNoIncident({ cluster, component }: Source, what: string, incident?: string): Promise<void> {
  if (!cluster) return;
  const holder = await claimedBy(cluster);
  if (holder && holder !== incident) {
    throw failure(
      'Held',
      `no ${what} of ${component} while incident ${holder} is open on it`,
      'The incident looks after the database; close or abort it first: lifeboat watch',
    );
  }
  if (!incident && (await isClosed(cluster))) {
    throw failure(
      'Held',
      `no ${what} of ${component} while it is closed: an incident ended and left it so`,
      `Recover it (${recoverCommand}), or resume on it as it stands: lifeboat abort --resume`,
    );
  }
}
