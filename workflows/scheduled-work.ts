import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { ApplicationFailure, ParentClosePolicy, sleep, startChild } from '@temporalio/workflow';
import { kindOf } from '../vocabulary/backup.js';
import { backupWorkId } from '../vocabulary/names.js';
import type { ScheduledWork } from '../vocabulary/backup-work.js';
import { priority } from '../vocabulary/priority.js';
import { pauseBefore } from '../vocabulary/turn.js';
import { raise } from './shared/alert.js';

const mostHours = 12;

/**
 * What a schedule starts. Temporal adds the time to the workflow ID of whatever a schedule starts; the work itself must
 * have the one ID that keeps work on the same backups apart. Whatever holds it (another backup, a restore) is waited
 * for.
 */
export async function scheduledWork({ workflow, input }: ScheduledWork): Promise<unknown> {
  const { system, component } = input;
  const what = workflow === 'backup' ? `${input.type} backup of ${component}` : `${workflow} of ${component}`;
  const workflowId = backupWorkId(system, workflow === 'backup' ? kindOf(input.type) : 'physical', component);
  for (let waited = 0, turn = 0; waited < mostHours * 3600; turn += 1) {
    try {
      const child = await startChild(workflow, {
        workflowId,
        args: [input],
        parentClosePolicy: ParentClosePolicy.ABANDON,
        priority: priority.backup,
        staticSummary: `${what}, by its schedule`,
      });
      return await child.result();
    } catch (error) {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
      const pause = pauseBefore(turn);
      await sleep(`${pause} seconds`);
      waited += pause;
    }
  }
  const message = `${what} was left out: other work on its backups took more than ${mostHours} hours`;
  await raise(system, {
    key: `left-out/${component}`,
    severity: 'warning',
    title: message,
    text: 'Look what runs so long in Temporal: lifeboat backup list; the next one comes by its schedule',
  });
  throw ApplicationFailure.nonRetryable(message, 'Busy');
}
