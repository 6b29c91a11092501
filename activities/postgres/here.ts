import { databasesOn, otherHosts } from '../../plan/access.js';
import { inPlan, type Observation, type Role } from '../../vocabulary/topology.js';
import type { HostContext } from '../context.js';
import { type Cluster, clusterOf } from './cluster.js';
import { observe } from './role.js';

/** A database of the plan on this host, and what its server is here now. */
export interface Here {
  cluster: Cluster;
  database: string;
  seen: Observation;
  /** What it is, or was; where nothing says that, what the plan says. */
  role: Role;
}

/** Looks at every database that has files on this host. */
export const databasesHere = (context: HostContext): Promise<Here[]> =>
  Promise.all(
    databasesOn(context.plan, context.host).map(async ({ database, role: planned }) => {
      const cluster = clusterOf(context, database);
      const seen = await observe(cluster);
      return { cluster, database, seen, role: seen.role ?? planned };
    }),
  );

/**
 * The databases that this host answers for: those that have their primary here, and those without files on any host, by
 * the plan.
 */
export function ours({ plan, host }: HostContext, here: Here[]): string[] {
  return Object.keys(plan.databases).filter((name) => {
    const found = here.find(({ database }) => database === name);
    return found ? found.role === 'primary' : plan.databases[name]!.postgres.primary === host;
  });
}

/** What is to be done about a primary that is not the plan's; undefined where all is as planned. */
export function outOfDate({
  cluster: { plan, context },
  database,
  seen,
  role,
}: Here): { says: string; hint: string } | undefined {
  const { primary } = plan.postgres;
  const { host } = context;
  if (seen.server !== 'up' || (role === 'primary') === (host === primary)) return undefined;
  if (role === 'standby')
    return {
      says: `the plan is out of date: the server of ${database} on ${host} is a standby, and the plan says primary`,
      hint: 'See which host is the primary: lifeboat doctor names it. Make it the primary in the plan, and start control worker and agents again.',
    };
  const others = otherHosts(context.plan, database, host);
  return {
    says: `the plan is out of date: ${host} is the primary of ${database} (timeline ${seen.timeline}), and the plan says ${primary}`,
    hint: `If ${primary} takes writes still, stop its server at once: there must be one primary. Then correct the plan (${inPlan(database, { primary: host, others })}), and start control worker and agents again.`,
  };
}
