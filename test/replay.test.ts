import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { beforeAll, describe, expect, test } from 'vitest';
import { workflowBundle } from '../worker/run-worker.js';
import { storedHistories } from './helpers/histories.js';

/**
 * Incidents that were once real are replayed against the workflows as they are now. One that no longer replays would get stuck in the middle of
 * a disaster when Lifeboat is upgraded. If a change is meant: give it a patch() marker, or store the histories anew (npm run histories).
 */
describe('stored histories replay with the workflows of today', () => {
  const histories = storedHistories();
  beforeAll(() => void Runtime.install({ logger: new DefaultLogger('WARN') }));

  test('each branch is stored', () => {
    expect(histories.map(({ name }) => name).sort()).toEqual(
      expect.arrayContaining(['abort', 'drill', 'fall-back-to-an-older-backup', 'repair', 'restore-latest', 'restore-to-a-time']),
    );
  });

  test.each(histories)('$name', async ({ history }) => {
    await Worker.runReplayHistory({ workflowBundle: workflowBundle() }, history);
  });

  test('a history that today’s workflows would have written otherwise is noticed', async () => {
    const { history } = structuredClone(histories.find(({ name }) => name === 'repair')!);
    const scheduled = history.events.flatMap(
      (event) => (event['activityTaskScheduledEventAttributes'] as { activityType: { name: string } } | undefined) ?? [],
    );
    scheduled.find(({ activityType }) => activityType.name === 'stopWrites')!.activityType.name = 'startWrites';
    await expect(Worker.runReplayHistory({ workflowBundle: workflowBundle() }, history)).rejects.toThrow(/TMPRL1100/);
  });

  test.each(histories)('$name holds no path of the machine that it was stored on', ({ history }) => {
    const text = JSON.stringify(history, (_, value: unknown) =>
      value !== null && typeof value === 'object' && (value as { type?: string }).type === 'Buffer'
        ? Buffer.from((value as unknown as { data: number[] }).data).toString('utf8')
        : value,
    );
    expect(text).not.toMatch(/\/(work|home|root)\//);
  });
});
