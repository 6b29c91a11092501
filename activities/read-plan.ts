import { databaseObjectives, hostsOf, servicesOf } from '../plan/access.js';
import type { ComponentFacts } from '../vocabulary/component.js';
import type { PlanFacts } from '../vocabulary/plan-facts.js';
import type { ControlContext } from './context.js';
import { failure } from './errors.js';

/** Resolves a database of the plan into names. Throws BadRequest when the plan has no such database. */
export const readPlan =
  ({ plan, planDigest }: ControlContext) =>
  ({ database }: { database: string }): Promise<PlanFacts> => {
    const of = plan.databases[database];
    if (!of) {
      throw failure(
        'BadRequest',
        `the plan has no database "${database}"; it has ${Object.keys(plan.databases).join(', ')}`,
        'Name one of those with --database.',
      );
    }
    const { rto, rpo } = databaseObjectives(plan, database);
    const services = servicesOf(plan, database);
    return Promise.resolve({
      database,
      databaseName: of.name,
      primary: of.postgres.primary,
      standbys: of.postgres.standbys,
      services: services.map((name) => ({ name, hosts: plan.services[name]!.hosts })),
      hosts: hostsOf(plan),
      objectives: { rtoSeconds: rto, rpoSeconds: rpo },
      components: [
        { name: database, kind: 'database', objectives: { rtoSeconds: rto, rpoSeconds: rpo } },
        ...services.map((name): ComponentFacts => ({
          name,
          kind: 'service',
          objectives: { rtoSeconds: plan.services[name]!.objectives?.rto ?? rto },
        })),
      ],
      tells: Object.values(plan.notifications).some((channel) => channel !== undefined),
      approvals: plan.approvals.people,
      planDigest,
      summary: `plan ${planDigest}`,
    });
  };
