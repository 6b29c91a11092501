import { Readable as Stream } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { logical } from '../../activities/backups/logical/provider.js';
import { backupPrefix } from '../../activities/backups/record.js';
import { type HostContext, hostState } from '../../activities/context.js';
import { withLocation } from '../../activities/locations/open.js';
import { createLab, type Lab } from '../../lab/lab.js';
import { loadPlan } from '../../plan/load.js';
import type { PlanFile } from '../../plan/schema.js';
import type { BackupResult, RestoreRequest, RestoreResult } from '../../vocabulary/backup-work.js';

/** A system that is backed up by dumps, and what its agent does with them, called directly. */
export interface Dumps {
  lab: Lab;
  context: HostContext;
  take(component?: string, run?: string, context?: HostContext): Promise<BackupResult>;
  restore(request: Partial<RestoreRequest>, context?: HostContext): Promise<RestoreResult>;
}

let runs = 0;

/** `change`: what the plan has beside a lab's own; databases get dumps at every location that it then has. */
export async function createDumps(change: (plan: PlanFile) => void = () => undefined, rows = 1000): Promise<Dumps> {
  const lab = await createLab({
    rows,
    locations: 2,
    service: false,
    temporal: 'none',
    fast: true,
    verify: {
      rows: { customers: {}, orders: {} },
      queries: [{ sql: 'select count(*) from orders where total < 0', expect: 0 }],
    },
    plan(plan) {
      change(plan);
      for (const each of Object.values(plan.databases))
        each.backups.logical ??= { locations: Object.keys(plan.locations) };
    },
  });
  Object.assign(process.env, lab.env);
  const context = await contextOf(lab);
  return {
    lab,
    context,
    take: (component = 'main', run = `take-${(runs += 1)}`, by = context) =>
      logical.take(by).execute({ component, type: 'logical', run }),
    restore: (request, by = context) =>
      logical.restore!(by).execute({ component: 'main', run: `restore-${(runs += 1)}`, ...request }),
  };
}

export async function contextOf(lab: Lab, host = 'db1'): Promise<HostContext> {
  const { plan, digest, directory } = await loadPlan(lab.planPath);
  return { plan, planDirectory: directory, planDigest: digest, host, state: await hostState(plan.system, host) };
}

/** Names of everything that lies at a location below a component, relative to it. */
export const keptAt = (context: HostContext, location: string, component = 'main'): Promise<string[]> =>
  withLocation(context, location, async (at) => {
    const prefix = `lifeboat/${context.plan.system}/logical/${component}/`;
    return (await at.list(prefix)).map(({ name }) => name.slice(prefix.length));
  });

/** Changes what a file of a backup holds at a location, whatever kind of location it is; undefined removes it. */
export async function tamper(
  context: HostContext,
  location: string,
  name: string,
  change: (data: Buffer) => Buffer | undefined,
): Promise<void> {
  await withLocation(context, location, async (at) => {
    const changed = change(await buffer(await at.get(name)));
    if (changed) await at.put(name, Stream.from([changed]));
    else await at.remove(name);
  });
}

/** The full names of the dump and of the record of a backup. */
export function namesOf(context: HostContext, id: string, component = 'main') {
  const prefix = backupPrefix({ system: context.plan.system, kind: 'logical', component, id });
  return {
    dump: `${prefix}database.dump.zst.age`,
    globals: `${prefix}globals.sql.zst.age`,
    record: `${prefix.slice(0, -1)}.meta.json`,
  };
}
