import { workflowInfo } from '@temporalio/workflow';
import type { Incident } from '../incident.js';

/** Archiving and canary of what is in place, and a full backup of it. Throws what its activities fail with. `run`: a backup that this one took already is not taken again. */
export async function protectAgain(incident: Incident, run = workflowInfo().runId) {
  const form = incident.form('production');
  const agent = incident.host(incident.plan.primary, 'long');
  const archiving = await agent.protect({ form, ...incident.names });
  const backup = await agent.takeBackup({
    form,
    component: incident.input.database,
    incident: incident.state.id,
    type: 'full',
    run,
  });
  incident.warn(...backup.failed.map((location) => `the new backup is missing at ${location}`));
  return { summary: `${archiving.summary}; ${backup.summary}` };
}
