import { ActivityFailure, ApplicationFailure, RetryState, TimeoutFailure, TimeoutType } from '@temporalio/common';
import { expect, test } from 'vitest';
import { failure } from '../../activities/errors.js';
import { problemOf, refuses } from '../../workflows/problems.js';

/** As the workflow sees it: the failure of an activity on db1. */
const failed = (cause: Error): ActivityFailure =>
  Object.assign(
    new ActivityFailure('activity failed', 'stopWrites', '7', RetryState.NON_RETRYABLE_FAILURE, 'agent', cause),
    {
      host: 'db1',
    },
  );

test('an agent that did not take the work is offline, and the command that starts it is said', () => {
  const problem = problemOf(failed(new TimeoutFailure('timed out', undefined, TimeoutType.SCHEDULE_TO_START)));
  expect(problem).toEqual({
    type: 'AgentOffline',
    message: 'the agent of db1 did not take the work within its time: it is offline',
    hint: 'Start it on that host: lifeboat agent --host db1; then: lifeboat decide retry',
  });
});

test('an agent that stopped answering in the middle is lost', () => {
  const problem = problemOf(failed(new TimeoutFailure('timed out', undefined, TimeoutType.HEARTBEAT)));
  expect(problem).toMatchObject({ type: 'AgentLost', message: 'the agent of db1 stopped answering (heartbeat)' });
});

test('a failure of Lifeboat keeps its kind, its words and its hint', () => {
  const problem = problemOf(failed(failure('NotEnoughSpace', 'a restore needs 2 GB', 'Free 1 GB.')));
  expect(problem).toEqual({ type: 'NotEnoughSpace', message: 'a restore needs 2 GB', hint: 'Free 1 GB.' });
});

test('any other error is said as it is', () => {
  expect(problemOf(failed(ApplicationFailure.nonRetryable('boom')))).toMatchObject({ message: 'boom' });
  expect(problemOf(new Error('boom'))).toEqual({ message: 'boom' });
  expect(problemOf('boom')).toEqual({ message: 'boom' });
});

test.each(['BadRequest', 'WrongTarget', 'NotEnoughSpace', 'NoBackup', 'ToolMissing', 'SecretMissing'] as const)(
  '%s ends an incident as refused',
  (type) => {
    expect(refuses({ type, message: '' })).toBe(true);
  },
);

test.each(['AgentOffline', 'AgentLost', 'Busy', 'CommandFailed', 'ServerFailed'])('%s asks a person', (type) => {
  expect(refuses({ type, message: '' })).toBe(false);
});
