import { ApplicationFailure, patched } from '@temporalio/workflow';
import type { PlanFacts } from '../vocabulary/plan-facts.js';
import { onControl, onHost } from './activities.js';
import { observeHosts, severalPrimaries } from './shared/topology.js';

/**
 * Opens a database that an ended incident left closed, and starts its services: `lifeboat abort --resume` when no
 * incident is open.
 */
export async function resume({
  system,
  database,
  incident,
}: {
  system: string;
  database: string;
  incident: string;
}): Promise<string> {
  const plan = await onControl(system, 'look', 'resume').readPlan({ form: 'execute', database });
  const opened = await onHost(system, await primaryOf(system, plan), 'change', 'resume').openDatabase({
    form: 'execute',
    database,
    incident,
  });
  const started = await Promise.all(
    plan.services.flatMap(({ name, hosts }) =>
      hosts.map((host) => onHost(system, host, 'change', 'resume').startService({ form: 'execute', service: name })),
    ),
  );
  const health = await onControl(system, 'look', 'resume').checkHealth({
    form: 'execute',
    services: plan.services.map(({ name }) => name),
  });
  return [...[opened, ...started, health].map(({ summary }) => summary), ...opened.warnings].join('; ');
}

/** Where the incident has left it, which after a promotion by hand is not where the plan says. */
async function primaryOf(system: string, plan: PlanFacts): Promise<string> {
  const { database, primary, standbys } = plan;
  if (standbys.length === 0 || !patched('observed')) return primary;
  const found = await observeHosts(system, database, { primary, standbys }, 'resume: who is the primary');
  if (found.primaries.length < 2) return found.primary;
  const { message, hint } = severalPrimaries(database, found);
  throw ApplicationFailure.create({ type: 'WrongTarget', nonRetryable: true, message, details: [{ hint }] });
}
