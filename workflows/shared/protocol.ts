import { ApplicationFailure, patched } from '@temporalio/workflow';
import { protocol } from '../../vocabulary/names.js';

/** Throws ToolMissing when the agent of a host is of a version that this one does not understand. `theirs`: as the agent said it; an old one does not. */
export function demandSameProtocol(host: string, theirs = 0): void {
  // An incident that was checked before there was the number goes on.
  if (!patched('protocol') || theirs === protocol) return;
  const older = theirs < protocol;
  throw ApplicationFailure.create({
    type: 'ToolMissing',
    nonRetryable: true,
    message: `the agent of ${host} runs ${older ? 'an older' : 'a newer'} Lifeboat than the control worker, and they would not understand each other`,
    details: [
      {
        hint: older
          ? `Install the version of the control worker on ${host} and start its agent again: lifeboat agent --host ${host}`
          : `Install the version of that agent where the control worker runs and start it again: lifeboat worker`,
      },
    ],
  });
}
