import { workflowInfo } from '@temporalio/workflow';
import type { BackupKind } from '../plan/kinds.js';
import type { BackupInput, BackupListing, BackupResult, VerifyResult } from './messages.js';
import { onControl, onHost } from './activities.js';

/** One backup of one component at every location of its plan; run by its schedule, or by hand. */
export async function backup({ system, component, type }: BackupInput): Promise<BackupResult> {
  const what = `${type} backup of ${component}`;
  const plan = await onControl(system, 'look', what).readPlan({ form: 'execute', database: component });
  return onHost(system, plan.primary, 'long', what).takeBackup({ form: 'execute', component, type, run: workflowInfo().runId });
}

export interface OneComponent {
  system: string;
  kind: BackupKind;
  component: string;
}

/** Every file of every backup at every location is read and compared with its checksum. */
export async function verifyBackups({ system, kind, component }: OneComponent): Promise<VerifyResult> {
  const what = `verify the ${kind} backups of ${component}`;
  const plan = await onControl(system, 'look', what).readPlan({ form: 'execute', database: component });
  return onHost(system, plan.primary, 'long', what).verifyBackups({ form: 'execute', kind, component });
}

/** What there is at every location. */
export async function listBackups({ system, kind, component }: OneComponent): Promise<BackupListing> {
  const what = `list the ${kind} backups of ${component}`;
  const plan = await onControl(system, 'look', what).readPlan({ form: 'execute', database: component });
  return onHost(system, plan.primary, 'look', what).listBackups({ form: 'execute', kind, component });
}
