import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import { controlQueue, hostQueue } from '../vocabulary/names.js';
import type { PlanFile } from '../plan/schema.js';
import { findOnThisMachine, starterPlan } from '../plan/starter.js';
import { capture, type CliResult } from './capture.js';
import { destroyLab, keepDirectory, makeLabDirectory } from './cleanup.js';
import { createDebianPrimary, createPrimary, createStandby, type Cluster } from './cluster.js';
import { makeDirectory } from './os-user.js';
import { defaultVerify, labPlan, locationNames, secretNames, type PlanParts } from './plan-file.js';
import { freePort } from './ports.js';
import { labVariable } from './processes.js';
import { cliEntry } from './root.js';
import type { ServiceConfig } from './service.js';
import { createShop } from './shop.js';
import { startTemporal, type TemporalServer } from './temporal.js';
import { startWorker, type LabProcess, type Queue } from './worker.js';

export type { CliResult } from './capture.js';
export type { LabProcess } from './worker.js';

export interface LabOptions {
  /** `shop`; with a shared Temporal server, `shop-` and something unique, since the system's name is its lock. */
  system?: string;
  /** A standby on host db2. */
  standby?: boolean;
  /**
   * The primary is a cluster that Debian's pg_createcluster makes, and the plan says of it what `lifeboat init` finds.
   * As root alone.
   */
  debian?: boolean;
  /** Orders in the shop. */
  rows?: number;
  /** How many directory locations: onsite, offsite, site3, ... */
  locations?: number;
  /** The web service on host app1. */
  service?: boolean;
  /** How many people it takes: 2 means that who declared may not approve. */
  approvals?: number;
  /**
   * The address of a server that runs already; `none`: whoever is started (`startUp`) brings one along; absent: one of
   * its own.
   */
  temporal?: string;
  /** The Web UI of its own Temporal server. */
  ui?: boolean;
  verify?: PlanParts['verify'];
  /** How long a service is watched after it was resumed, as in the plan. */
  watch?: string;
  /** Whatever else a test wants changed in the plan before it is written. */
  plan?: (plan: PlanFile) => void;
  /** More environment for the programs that it starts. */
  env?: Record<string, string>;
  /** fsync off in the databases, which are safe from a killed process all the same. */
  fast?: boolean;
  /** Leave the directory when it stops. */
  keep?: boolean;
}

export interface Lab {
  system: string;
  directory: string;
  planPath: string;
  plan: PlanFile;
  /** Everything that an agent or the CLI needs, and nothing of this process's own Temporal or Lifeboat settings. */
  env: Record<string, string>;
  /** The values of all secrets: none of them may be in a history, a report or a log. */
  secrets: string[];
  primary: Cluster;
  standby?: Cluster;
  /** http://127.0.0.1:PORT of the web service, when there is one. */
  serviceUrl: string;
  /** Starts, stops, or asks (exit code) the web service, by the plan's own commands. */
  service(command: 'start' | 'stop' | 'status'): Promise<CliResult>;
  /** Names of the locations, and their directories. */
  locations: Record<string, string>;
  /** Its own Temporal server, unless there is a shared one. */
  temporal?: TemporalServer;
  temporalAddress: string;
  agents: Record<string, LabProcess>;
  control?: LabProcess;
  /** One agent for each host of the plan, or for those given. */
  startAgents(hosts?: string[], env?: Record<string, string>): Promise<LabProcess[]>;
  startControl(env?: Record<string, string>): Promise<LabProcess>;
  /** `lifeboat up`: Temporal, control worker and agents of this machine in one. */
  startUp(args?: string[], env?: Record<string, string>): Promise<LabProcess>;
  cli(args: string[], options?: { input?: string; env?: Record<string, string> }): Promise<CliResult>;
  /** Ends every process of the lab, whoever started it, removes the directory, and throws when something is left. */
  stop(): Promise<void>;
}

/**
 * A whole small system on this machine: a database with a standby, a service, places for backups, Temporal, and the
 * plan that protects it.
 */
export async function createLab(options: LabOptions = {}): Promise<Lab> {
  const directory = makeLabDirectory();
  if (options.keep) keepDirectory(directory);
  try {
    return await assemble(directory, options);
  } catch (error) {
    destroyLab(directory, options.keep);
    throw error;
  }
}

async function assemble(directory: string, options: LabOptions): Promise<Lab> {
  const passwords = { superuser: secret(), app: secret(), replicator: secret() };
  const passphrase = secret();
  const system =
    options.system ??
    (options.temporal && options.temporal !== 'none' ? `shop-${randomBytes(4).toString('hex')}` : 'shop');
  const locations = locationNames(options.locations ?? 1, directory);
  makeDirectory(join(directory, 'backups'));
  for (const path of Object.values(locations)) makeDirectory(path);
  for (const name of ['logs', 'state', 'temporal']) mkdirSync(join(directory, name), { mode: 0o755 });
  // What its programs make in the folder for temporary files goes with it, however they end.
  makeDirectory(join(directory, 'tmp'));

  // The databases run without Lifeboat's secrets in their environment.
  const bare = { ...baseEnvironment(), [labVariable]: directory, TMPDIR: join(directory, 'tmp') };
  const cluster = (host: string) => ({
    host,
    directory: join(directory, host),
    passwords,
    env: bare,
    fast: options.fast ?? false,
  });
  const [temporal, [primary, standby]] = await Promise.all([
    options.temporal
      ? undefined
      : startTemporal({ directory: join(directory, 'temporal'), ui: options.ui ?? false, env: bare }),
    (async () => {
      const first = await (options.debian ? createDebianPrimary : createPrimary)(cluster('db1'));
      await createShop(first, options.rows ?? 1000);
      return [first, options.standby ? await createStandby(first, cluster('db2')) : undefined] as const;
    })(),
  ]);
  const temporalAddress =
    temporal?.address ?? (options.temporal === 'none' ? `127.0.0.1:${await freePort()}` : options.temporal!);

  const service =
    options.service === false
      ? undefined
      : { port: await freePort(), configFile: join(directory, 'app1', 'service.json') };
  if (service) writeServiceConfig(service, directory, primary);

  const plan = labPlan({
    system,
    clusters: standby ? [primary, standby] : [primary],
    locations,
    ...(service ? { service } : {}),
    approvals: options.approvals ?? 1,
    watch: options.watch ?? '2s',
    verify: options.verify ?? defaultVerify,
  });
  if (options.debian) Object.assign(plan.databases['main']!.postgres, await asInitFinds(primary));
  options.plan?.(plan);
  const planPath = join(directory, 'lifeboat.yaml');
  writeFileSync(planPath, stringify(plan));

  const env: Record<string, string> = {
    ...bare,
    [secretNames.superuser]: passwords.superuser,
    [secretNames.replicator]: passwords.replicator,
    [secretNames.passphrase]: passphrase,
    LIFEBOAT_PLAN: planPath,
    LIFEBOAT_STATE_DIR: join(directory, 'state'),
    TEMPORAL_ADDRESS: temporalAddress,
    TEMPORAL_NAMESPACE: 'default',
    ...options.env,
  };

  const run = (
    name: string,
    args: string[],
    queues: Queue[],
    extra: Record<string, string> = {},
  ): Promise<LabProcess> => startWorker({ name, args, queues, directory, temporalAddress, env: { ...env, ...extra } });

  const runService = (command: string): Promise<CliResult> => {
    const web = plan.services!['web']!.control as Record<string, string[]>;
    const [program, ...args] = web[command]!;
    return capture(program!, args, directory, bare);
  };

  const lab: Lab = {
    system,
    directory,
    planPath,
    plan,
    env,
    primary,
    locations,
    temporalAddress,
    ...(standby ? { standby } : {}),
    ...(temporal ? { temporal } : {}),
    secrets: [...Object.values(passwords), passphrase],
    serviceUrl: service ? `http://127.0.0.1:${service.port}` : '',
    service: runService,
    agents: {},
    async startAgents(hosts = Object.keys(plan.hosts), extra = {}) {
      const started = await Promise.all(
        hosts.map((host) =>
          run(
            `agent-${host}`,
            ['agent', '--host', host, '--plan', planPath],
            [[hostQueue(system, host), 'activity']],
            extra,
          ),
        ),
      );
      started.forEach((agent, at) => (lab.agents[hosts[at]!] = agent));
      return started;
    },
    async startControl(extra = {}) {
      lab.control = await run('control', ['worker', '--plan', planPath], [[controlQueue(system), 'workflow']], extra);
      return lab.control;
    },
    startUp: (args = [], extra = {}) =>
      run(
        'up',
        ['up', '--plan', planPath, ...args],
        [
          [controlQueue(system), 'workflow'],
          ...Object.keys(plan.hosts).map((host): Queue => [hostQueue(system, host), 'activity']),
        ],
        extra,
      ),
    cli: (args, { input, env: extra } = {}) =>
      capture(process.execPath, [cliEntry, ...args], directory, { ...env, ...extra }, input),
    // async, so that what it throws is a rejection like any other.
    stop: async () => destroyLab(directory, options.keep),
  };

  if (service) {
    const { code, stderr } = await runService('start');
    if (code !== 0) throw new Error(`the web service does not start: ${stderr}`);
  }
  return lab;
}

/** What `lifeboat init` writes of a database whose application's role it is told, on this very machine. */
async function asInitFinds(primary: Cluster): Promise<PlanFile['databases'][string]['postgres']> {
  const url = `postgres://app:${primary.passwords.app}@127.0.0.1:${primary.port}/${primary.database}`;
  const found = parse(starterPlan(await findOnThisMachine({ ...process.env, DATABASE_URL: url }))) as PlanFile;
  const none = { password: undefined, replication: undefined, socketDirectory: undefined };
  return { ...none, ...found.databases['main']!.postgres, primary: primary.host };
}

/** The service's own settings, with its own password, as a service has them: it is not Lifeboat's business. */
function writeServiceConfig(service: { port: number; configFile: string }, directory: string, primary: Cluster): void {
  const home = join(directory, 'app1');
  mkdirSync(home);
  const config: ServiceConfig = {
    port: service.port,
    pidFile: join(home, 'service.pid'),
    log: join(directory, 'logs', 'service.log'),
    database: {
      host: '127.0.0.1',
      port: primary.port,
      user: 'app',
      password: primary.passwords.app,
      database: primary.database,
    },
  };
  writeFileSync(service.configFile, JSON.stringify(config), { mode: 0o600 });
}

/**
 * This process's environment, less what would make the programs of a lab talk with another system, or behave as part of
 * a test.
 */
function baseEnvironment(): Record<string, string> {
  const foreign = /^(TEMPORAL_|LIFEBOAT_|PG|VITEST|NODE_OPTIONS$|NODE_ENV$)/;
  return Object.fromEntries(
    Object.entries(process.env).filter(
      (entry): entry is [string, string] => entry[1] !== undefined && !foreign.test(entry[0]),
    ),
  );
}

/** Random, and recognisable: a search for it in a history finds nothing else. */
const secret = (): string => `lab-${randomBytes(12).toString('hex')}`;
