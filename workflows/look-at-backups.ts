import { ApplicationFailure, isCancellation } from '@temporalio/workflow';
import { onControl, onHost } from './activities.js';
import type { BackupListing } from '../vocabulary/backup.js';
import type { CleanUpInput, CleanUpResult, ListInput, VerifyInput, VerifyResult } from '../vocabulary/backup-work.js';
import { problemOf } from './problems.js';
import { readComponent } from './shared/topology.js';
import { raise, resolve } from './shared/alert.js';

/**
 * What there is at every location. A host that is gone must not hide its backups: the next one that can read them is
 * asked.
 */
export async function listBackups({ system, kind, component, after }: ListInput): Promise<BackupListing> {
  const what = `list the ${kind} backups of ${component}`;
  const { readers } = await onControl(system, 'look', what).readComponent({ form: 'execute', kind, component });
  let last: unknown;
  for (const host of readers) {
    try {
      return await onHost(system, host, 'look', what).listBackups({
        form: 'execute',
        kind,
        component,
        ...(after === undefined ? {} : { after }),
      });
    } catch (error) {
      if (isCancellation(error)) throw error;
      last = error;
    }
  }
  const { message, hint } = problemOf(last);
  throw ApplicationFailure.create({ type: 'CommandFailed', nonRetryable: true, message, details: [{ hint }] });
}

/**
 * Backups are read whole, and every digest compared. What is damaged is an alert: a recovery would have to do without
 * it.
 */
export async function verifyBackups({ system, kind, component, ...which }: VerifyInput): Promise<VerifyResult> {
  const what = `verify the ${kind} backups of ${component}`;
  const { host } = await readComponent(system, kind, component, what);
  const result = await onHost(system, host, 'long', what).verifyBackups({ form: 'execute', kind, component, ...which });
  const key = `damaged/${kind}/${component}`;
  if (result.damaged.length > 0) {
    const lines = result.damaged
      .slice(0, 5)
      .map(({ id, location, file, why }) => `${[id, 'at', location, file].filter(Boolean).join(' ')}: ${why}`);
    await raise(system, {
      key,
      severity: 'critical',
      title: `damaged ${kind} backups of ${component}`,
      text: `${lines.join('; ')} → take a new one: lifeboat backup create`,
    });
  } else if (!which.id && !which.location && result.failed.length === 0) await resolve(system, key, result.summary);
  return result;
}

/** Removes what the plan keeps no longer, or says what it would remove. */
export async function cleanUpBackups({ system, kind, component, dryRun }: CleanUpInput): Promise<CleanUpResult> {
  const what = `clean up the ${kind} backups of ${component}`;
  const { host } = await readComponent(system, kind, component, what);
  return onHost(system, host, 'long', what).cleanUp({ form: dryRun ? 'rehearse' : 'execute', kind, component });
}
