import { execFile } from 'node:child_process';
import { access, realpath, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import { askServer, type ServerAnswers } from './findings-server.js';

/**
 * What `lifeboat init` finds out by itself: from DATABASE_URL, from the server that it leads to, and from Debian's list
 * of clusters.
 */

export interface Findings {
  /** The name of this machine. */
  hostname: string;
  timezone: string;
  database?: {
    name: string;
    /** Where the server is; absent: on this machine. */
    host?: string;
    port?: number;
    dataDirectory?: string;
    socketDirectory?: string;
    /** Only when it is not in the data directory. */
    configFile?: string;
    user?: string;
    /** True when DATABASE_URL has a password; the password itself goes nowhere. */
    hasPassword?: boolean;
    systemd?: string;
    /** Version and name, such as 15-main, where Debian's own programs start it and systemd does not. */
    debianCluster?: string;
    /** The tables with most rows, as `schema.table` (`table` in public). */
    tables?: string[];
  };
  /** From BACKUP_DIR and BACKUP_RETENTION_DAYS. */
  backups?: { directory?: string; keepFull?: number };
  /** What was looked at and how it went, one line each, for the person who runs init. */
  notes: string[];
}

/**
 * Looks at this machine. `env`: DATABASE_URL, BACKUP_DIR, BACKUP_RETENTION_DAYS, PATH, TZ. Changes nothing, and never
 * throws for what it cannot see.
 */
export async function findOnThisMachine(env: NodeJS.ProcessEnv): Promise<Findings> {
  const findings: Findings = {
    hostname: hostname(),
    timezone: env.TZ || Intl.DateTimeFormat().resolvedOptions().timeZone,
    notes: [],
  };
  const url = readUrl(env.DATABASE_URL, findings.notes);
  const local = url === undefined || isLocal(url.host, findings.hostname);
  const clusters = local ? await listClusters(env, findings.notes) : [];
  const cluster =
    clusters.find((each) => each.port === (url?.port ?? each.port) && each.online) ??
    clusters.find((each) => each.port === (url?.port ?? each.port));
  if (url || cluster) {
    const server = env.DATABASE_URL && url ? await askServer(env.DATABASE_URL, findings.notes) : undefined;
    // On its port another server answers (one in a container): what the list says is not of that one.
    const same = cluster && (!server?.dataDirectory || (await isSame(server.dataDirectory, cluster.dataDirectory)));
    findings.database = merge(url, server, same ? cluster : undefined, local);
    await noteLink(findings);
  } else {
    findings.notes.push('no DATABASE_URL and no local PostgreSQL cluster: the database in the plan is an example');
  }
  if (env.BACKUP_DIR) findings.backups = { directory: resolve(env.BACKUP_DIR) };
  const days = Number(env.BACKUP_RETENTION_DAYS);
  if (Number.isInteger(days) && days > 0) findings.backups = { ...findings.backups, keepFull: days };
  return findings;
}

type Found = NonNullable<Findings['database']>;

interface Url {
  name: string;
  host: string;
  port: number;
  user?: string;
  hasPassword: boolean;
}

/**
 * What is known best comes first: the server's own answers, then Debian's list, then the URL. What the server may not
 * tell an ordinary role (where its files are) is no answer: then the list has it.
 */
function merge(
  url: Url | undefined,
  server: ServerAnswers | undefined,
  cluster: DebianCluster | undefined,
  local: boolean,
): Found {
  const dataDirectory = server?.dataDirectory ?? cluster?.dataDirectory;
  const configFile = server?.configFile ?? cluster?.configFile;
  const found: Found = { name: server?.database ?? url?.name ?? 'postgres' };
  if (url && !local) found.host = url.host;
  const port = server?.port ?? cluster?.port ?? url?.port;
  if (port !== undefined) found.port = port;
  if (dataDirectory) found.dataDirectory = dataDirectory;
  if (server?.socketDirectory) found.socketDirectory = server.socketDirectory;
  if (configFile && configFile !== `${dataDirectory}/postgresql.conf`) found.configFile = configFile;
  if (cluster?.systemd) found.systemd = cluster.systemd;
  else if (cluster) found.debianCluster = cluster.name;
  // Lifeboat needs a superuser: that of the URL is taken unless the server says that it is none.
  if (url?.user && server?.superuser !== false) {
    found.user = url.user;
    found.hasPassword = url.hasPassword;
  }
  if (server && server.tables.length > 0) found.tables = server.tables;
  return found;
}

function readUrl(text: string | undefined, notes: string[]): Url | undefined {
  if (!text) return undefined;
  try {
    const url = new URL(text);
    if (!/^postgres(ql)?:$/.test(url.protocol)) {
      notes.push('DATABASE_URL is not a postgres:// URL, and was not used');
      return undefined;
    }
    const user = decodeURIComponent(url.username);
    const name = decodeURIComponent(url.pathname.slice(1)) || user || 'postgres';
    const host = decodeURIComponent(url.hostname) || url.searchParams.get('host') || '';
    return {
      name,
      host,
      port: Number(url.port || url.searchParams.get('port') || 5432),
      hasPassword: url.password !== '' || url.searchParams.has('password'),
      ...(user ? { user } : {}),
    };
  } catch {
    // The text is not repeated: it may hold a password.
    notes.push('DATABASE_URL cannot be read as a URL, and was not used');
    return undefined;
  }
}

const isLocal = (host: string, own: string): boolean =>
  host === '' ||
  host.startsWith('/') ||
  ['localhost', '127.0.0.1', '::1', '[::1]'].includes(host) ||
  host === own ||
  host === own.split('.')[0];

async function isSame(one: string, other: string): Promise<boolean> {
  const [a, b] = await Promise.all([one, other].map((path) => stat(path).catch(() => undefined)));
  return one === other || (a !== undefined && b !== undefined && a.dev === b.dev && a.ino === b.ino);
}

/**
 * A data directory that is reached through a link stands in the plan as the server says it: pgBackRest compares the two
 * as text.
 */
async function noteLink({ database, notes }: Findings): Promise<void> {
  const real = database?.dataDirectory && (await realpath(database.dataDirectory).catch(() => undefined));
  if (real && real !== database.dataDirectory)
    notes.push(
      `${database.dataDirectory} leads to ${real} by a link: the plan has it as the server says it, and copies go beside ${real}`,
    );
}

interface DebianCluster {
  /** Version and name, such as 15-main. */
  name: string;
  port: number;
  online: boolean;
  dataDirectory: string;
  configFile?: string;
  systemd?: string;
}

/** The clusters of Debian's pg_lsclusters; none where there is no such program. */
async function listClusters(env: NodeJS.ProcessEnv, notes: string[]): Promise<DebianCluster[]> {
  const output = await promisify(execFile)('pg_lsclusters', ['--no-header'], {
    env: { PATH: env.PATH ?? '' },
    timeout: 5000,
  }).catch(() => undefined);
  const clusters: DebianCluster[] = [];
  for (const line of output?.stdout.split('\n') ?? []) {
    const [version, name, port, status, , dataDirectory] = line.trim().split(/\s+/);
    if (!version || !name || !dataDirectory?.startsWith('/')) continue;
    const online = status?.startsWith('online') === true;
    const cluster: DebianCluster = { name: `${version}-${name}`, port: Number(port), online, dataDirectory };
    if (!(await exists(`${dataDirectory}/postgresql.conf`)))
      cluster.configFile = `/etc/postgresql/${version}/${name}/postgresql.conf`;
    if (await exists('/run/systemd/system')) cluster.systemd = `postgresql@${version}-${name}`;
    clusters.push(cluster);
    notes.push(
      `PostgreSQL ${version} cluster "${name}" on port ${port}: ${cluster.online ? 'running' : 'not running'}`,
    );
  }
  return clusters;
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );
