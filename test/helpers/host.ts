import { type HostContext, hostState } from '../../activities/context.js';
import type { Candidate } from '../../activities/backups/candidates.js';
import { backupPhysical } from '../../activities/backups/backup.js';
import { listCandidates } from '../../activities/recovery/list-candidates.js';
import { restoreBeside } from '../../activities/recovery/restore-beside.js';
import { beatOnce } from '../../activities/postgres/canary.js';
import { clusterOf, type Cluster as HostCluster, resolveDirectories } from '../../activities/postgres/cluster.js';
import { type Scratch, scratchOf } from '../../activities/postgres/scratch.js';
import type { Cluster } from '../../lab/cluster.js';
import type { Lab } from '../../lab/lab.js';
import pg from 'pg';
import { loadPlan } from '../../plan/load.js';

/** A host of a lab in this process: what its agent can do is called directly, without Temporal and without an agent. */
export interface Host {
  context: HostContext;
  cluster: HostCluster;
  /** Takes a full backup at every location. Returns its label at the first one. */
  backup(): Promise<string>;
  beat(): Promise<void>;
  candidates(target?: string): Promise<Candidate[]>;
  /** Restores the first candidate beside the database, or the one given, and recovers it. */
  restore(
    incident: string,
    target?: string,
    candidate?: Candidate,
  ): ReturnType<ReturnType<typeof restoreBeside>['execute']>;
  scratch(incident: string): Scratch;
  /** A query to the restored copy of an incident, which must run. */
  askCopy<T extends pg.QueryResultRow>(incident: string, sql: string): Promise<T[]>;
}

/** The secrets of the lab are put into this process's environment, as into an agent's. */
export async function hostOf(lab: Lab, name = 'db1'): Promise<Host> {
  Object.assign(process.env, lab.env);
  const { plan, digest, directory } = await loadPlan(lab.planPath);
  const state = await hostState(plan.system, name);
  const context: HostContext = { plan, planDirectory: directory, planDigest: digest, host: name, state };
  await resolveDirectories(context);
  const cluster = clusterOf(context, 'main');
  let runs = 0;
  const host: Host = {
    context,
    cluster,
    backup: async () =>
      (await backupPhysical(context).execute({ component: 'main', type: 'full', run: `test-${(runs += 1)}` })).id,
    beat: async () => void (await beatOnce(cluster)),
    candidates: async (target = 'latest') =>
      (await listCandidates(context).execute({ database: 'main', target })).candidates,
    restore: async (incident, target = 'latest', candidate) =>
      restoreBeside(context).execute({
        database: 'main',
        incident,
        target,
        candidate: candidate ?? (await host.candidates(target))[0]!,
      }),
    scratch: (incident) => scratchOf(cluster, incident),
    async askCopy<T extends pg.QueryResultRow>(incident: string, sql: string) {
      const client = new pg.Client({
        host: scratchOf(cluster, incident).socketDirectory,
        port: cluster.port,
        user: 'postgres',
        database: cluster.plan.name,
      });
      client.on('error', () => undefined);
      await client.connect();
      try {
        return (await client.query<T>(sql)).rows;
      } finally {
        await client.end();
      }
    },
  };
  return host;
}

/** The same host with its plan changed, as an agent would have it whose plan file says so. */
export function withPlan(host: Host, change: (plan: HostContext['plan']) => void): HostContext {
  const plan = structuredClone(host.context.plan);
  change(plan);
  return { ...host.context, plan };
}

/** Fills the segment that is being written, and goes on in the next one. Returns the name of the full one. */
export async function switchSegment(primary: Cluster): Promise<string> {
  const [row] = await primary.sql<{ segment: string }>(
    `SELECT pg_walfile_name(pg_switch_wal()) AS segment FROM (SELECT pg_logical_emit_message(true, 'test', 'so that there is something to switch')) x`,
  );
  return row!.segment;
}
