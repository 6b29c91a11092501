import { isCancellation, workflowInfo } from '@temporalio/workflow';
import { kindOf } from '../vocabulary/backup.js';
import { onHost } from './activities.js';
import type { BackupInput, BackupResult } from '../vocabulary/backup-work.js';
import { problemOf } from './problems.js';
import { readComponent } from './shared/topology.js';
import { raise, resolve } from './shared/alert.js';

/**
 * One backup of one component at every location of its plan, read back there; then what is no longer kept goes. By its
 * schedule, or by hand.
 */
export async function backup({ system, component, type }: BackupInput): Promise<BackupResult> {
  const kind = kindOf(type);
  const what = `${type} backup of ${component}`;
  const key = `backup/${kind}/${component}`;
  try {
    const { host, locations } = await readComponent(system, kind, component, what);
    const result = await onHost(system, host, 'long', what).takeBackup({
      form: 'execute',
      component,
      type,
      run: workflowInfo().runId,
    });
    if (result.unrestorable) await raise(system, { key, severity: 'warning', ...lacks(what, result) });
    else await resolve(system, key, result.summary);
    for (const location of locations) await tell(system, location, key, what, result.failed);
    const cleaned = await onHost(system, host, 'long', `clean up the ${kind} backups of ${component}`)
      .cleanUp({ form: 'execute', kind, component })
      .catch((error: unknown) => {
        if (isCancellation(error)) throw error;
        return { failed: [problemOf(error).message] };
      });
    return {
      ...result,
      failed: [...result.failed, ...cleaned.failed.map((why) => `old backups were not removed: ${why}`)],
    };
  } catch (error) {
    if (isCancellation(error)) throw error;
    const { message, hint } = problemOf(error);
    await raise(system, {
      key,
      severity: 'critical',
      title: `${what} FAILED`,
      text: `${message}${hint ? ` → ${hint}` : ''}`,
    });
    throw error;
  }
}

/** It was kept, and a restore of it would stop at these. */
const lacks = (what: string, { id, unrestorable = [] }: BackupResult) => ({
  title: `${what}: not all of it can be restored`,
  text: `${id} is kept; what cannot be loaded into an empty server: ${unrestorable.slice(0, 5).join('; ')} → fix it in the database: as a rule it finds other objects by a search_path, and must name their schema`,
});

/** A location that did not take it is an alert of its own, until it takes one. */
async function tell(system: string, location: string, backup: string, what: string, failed: string[]): Promise<void> {
  const key = `location/${location}/${backup}`;
  const why = failed.find((line) => line.startsWith(`${location}: `));
  if (!why) await resolve(system, key, `${location} took it`);
  else
    await raise(system, {
      key,
      severity: 'warning',
      title: `${what}: location ${location} did not take it`,
      text: why,
    });
}
