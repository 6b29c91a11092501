import { WorkflowFailedError, WorkflowUpdateFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { describe, expect, it } from 'vitest';
import { failure } from '../../activities/errors.js';
import type { FailureKind } from '../../vocabulary/failure.js';
import { explainTemporal } from '../../client/explain-temporal.js';

const failed = (cause: Error) => new WorkflowFailedError('it failed', cause, 'MAXIMUM_ATTEMPTS_REACHED');

describe('the exit code of a failure', () => {
  it.each<[FailureKind, number]>([
    ['Busy', 3],
    ['Held', 3],
    ['BadRequest', 2],
    ['BackupDamaged', 2],
  ])('%s: %i', (kind, code) => {
    expect(explainTemporal(failed(failure(kind, 'no', 'wait')))).toEqual({ message: 'no', hint: 'wait', code });
  });

  it('is 3 for what an incident refuses although it was asked rightly, and 2 for what was asked wrongly', () => {
    const refused = (type: string) =>
      new WorkflowUpdateFailedError('no', ApplicationFailure.nonRetryable('not now', type));
    expect(explainTemporal(refused('Refused'))!.code).toBe(3);
    expect(explainTemporal(refused('Error'))!.code).toBe(2);
  });
});
