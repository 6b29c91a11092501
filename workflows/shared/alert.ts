import { CancellationScope, getExternalWorkflowHandle, type SignalDefinition } from '@temporalio/workflow';
import { alertsWorkflowId } from '../../vocabulary/names.js';
import type { Alert } from '../../vocabulary/alert.js';
import { raiseSignal, resolveSignal } from '../messages.js';

/**
 * Raises an alert, or renews it. Returns when it is handed over; where nobody keeps alerts (a plan without channels),
 * nothing happens.
 */
export const raise = (system: string, alert: Alert): Promise<void> => tell(system, raiseSignal, alert);

/** An alert that was raised is over; of one that was not, nothing is said. `text`: what fixed it. */
export const resolve = (system: string, key: string, text?: string): Promise<void> =>
  tell(system, resolveSignal, { key, ...(text === undefined ? {} : { text }) });

/**
 * What went wrong is told even by a workflow that is being cancelled; that it cannot be told keeps no work from going
 * on.
 */
async function tell<Args extends [unknown]>(
  system: string,
  signal: SignalDefinition<Args>,
  ...args: Args
): Promise<void> {
  await CancellationScope.nonCancellable(() =>
    getExternalWorkflowHandle(alertsWorkflowId(system)).signal(signal, ...args),
  ).catch(() => undefined);
}
