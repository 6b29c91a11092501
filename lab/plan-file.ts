import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { PlanFile } from '../plan/schema.js';
import type { Cluster } from './cluster.js';

export interface PlanParts {
  system: string;
  clusters: Cluster[];
  locations: Record<string, string>;
  service?: { port: number; configFile: string };
  approvals: number;
  watch: string;
  verify: NonNullable<PlanFile['databases'][string]['verify']>;
}

/** What each secret of the lab's plan is called in the environment. */
export const secretNames = {
  superuser: 'PG_SUPERUSER_PASSWORD',
  replicator: 'PG_REPLICATION_PASSWORD',
  passphrase: 'BACKUP_PASSPHRASE',
} as const;

export const defaultVerify: PlanParts['verify'] = {
  // Orders are placed between the last count and a disaster, and a recovery to an earlier moment has fewer.
  rows: { customers: {}, products: {}, orders: { maxDrop: '20%' }, payments: { maxDrop: '20%' } },
  queries: [
    { sql: 'select count(*) from orders where total < 0', expect: 0 },
    { sql: 'select count(*) from payments p left join orders o on o.id = p.order_id where o.id is null', expect: 0 },
  ],
};

/**
 * The plan of the lab's system, as a team would write it. Without schedules: they would go off in the middle of a test.
 */
export function labPlan(parts: PlanParts): PlanFile {
  const each = <T>(value: (cluster: Cluster) => T): Record<string, T> =>
    Object.fromEntries(parts.clusters.map((cluster) => [cluster.host, value(cluster)]));
  const [primary, ...standbys] = parts.clusters;
  const service = fileURLToPath(new URL(`./service${extname(import.meta.url)}`, import.meta.url));
  const control = (command: string): string[] => [process.execPath, service, command, parts.service!.configFile];
  return {
    system: parts.system,
    timezone: 'UTC',
    objectives: { rto: '15m', rpo: '5m' },
    approvals: { people: parts.approvals },
    hosts: {
      ...each(() => ({ region: 'home', address: '127.0.0.1' })),
      ...(parts.service ? { app1: { region: 'home', address: '127.0.0.1' } } : {}),
    },
    locations: Object.fromEntries(
      Object.entries(parts.locations).map(([name, directory]) => [
        name,
        { directory, encryption: `env:${secretNames.passphrase}` },
      ]),
    ),
    databases: {
      main: {
        name: primary!.database,
        postgres: {
          primary: primary!.host,
          standbys: standbys.map((cluster) => cluster.host),
          dataDirectory: each((cluster) => cluster.dataDirectory),
          port: each((cluster) => cluster.port),
          socketDirectory: each((cluster) => cluster.socketDirectory),
          user: 'postgres',
          password: `env:${secretNames.superuser}`,
          replication: { user: 'replicator', password: `env:${secretNames.replicator}` },
        },
        backups: { physical: { engine: 'pgbackrest', locations: Object.keys(parts.locations), keep: { full: 7 } } },
        verify: parts.verify,
      },
    },
    services: parts.service
      ? {
          web: {
            database: 'main',
            hosts: ['app1'],
            control: { start: control('start'), stop: control('stop'), status: control('status') },
            health: { url: `http://{host}:${parts.service.port}/health`, within: '3s' },
            watch: parts.watch,
          },
        }
      : {},
    people: {
      roles: { incidentCommander: 'asha', technicalLead: 'ben' },
      onCall: ['ben', 'asha'],
      contacts: { asha: { name: 'Asha', email: 'asha@example.com' }, ben: { name: 'Ben', email: 'ben@example.com' } },
    },
  };
}

/** Names of the directory locations, in the order of preference. */
export const locationNames = (count: number, directory: string): Record<string, string> =>
  Object.fromEntries(
    Array.from({ length: count }, (_, n) => ['onsite', 'offsite'][n] ?? `site${n + 1}`).map((name) => [
      name,
      join(directory, 'backups', name),
    ]),
  );
