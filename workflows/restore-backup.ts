import { workflowInfo } from '@temporalio/workflow';
import { onHost } from './activities.js';
import { readComponent } from './shared/topology.js';
import type { RestoreInput, RestoreResult } from '../vocabulary/backup-work.js';

/**
 * Restores one backup, or a local dump, for a person: into something new, or in the place of what is there, which is
 * renamed aside.
 */
export async function restoreBackup({ system, kind, component, ...request }: RestoreInput): Promise<RestoreResult> {
  const what = `restore ${request.id ?? 'a file'} of ${component}`;
  const { host } = await readComponent(system, kind, component, what);
  return onHost(system, host, 'long', what).restoreBackup({
    form: 'execute',
    kind,
    component,
    ...request,
    run: workflowInfo().runId,
  });
}
