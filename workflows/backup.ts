import type { BackupInput, BackupResult } from './messages.js';
import { onControl, onHost } from './activities.js';
import { workflowInfo } from '@temporalio/workflow';

/** A physical backup of one database at every location of its plan; run by its schedule, or by hand. */
export async function backup({ system, database, type }: BackupInput): Promise<BackupResult> {
  const what = `${type} backup of ${database}`;
  const plan = await onControl(system, 'look', what).readPlan({ form: 'execute', database });
  const { summary, failed, ...result } = await onHost(system, plan.primary, 'long', what).backupPhysical({
    form: 'execute',
    database,
    type,
    run: workflowInfo().runId,
  });
  return { ...result, says: summary, failed };
}

/** Every file of every backup at every location is read and compared with its checksum. */
export async function verifyBackups({ system, database }: { system: string; database: string }) {
  const plan = await onControl(system, 'look', `verify the backups of ${database}`).readPlan({ form: 'execute', database });
  return onHost(system, plan.primary, 'long', `verify the backups of ${database}`).verifyBackups({ form: 'execute', database });
}

/** What there is at every location. */
export async function listBackups({ system, database }: { system: string; database: string }) {
  const plan = await onControl(system, 'look', `list the backups of ${database}`).readPlan({ form: 'execute', database });
  return onHost(system, plan.primary, 'look', `list the backups of ${database}`).listBackups({ form: 'execute', database });
}
