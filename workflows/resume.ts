import { onControl, onHost } from './activities.js';
import { primaryNow } from './shared/topology.js';

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
  // Where the incident has left it, which after a promotion by hand is not where the plan says.
  const primary = await primaryNow(system, database, plan, 'resume');
  const opened = await onHost(system, primary, 'change', 'resume').openDatabase({
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
