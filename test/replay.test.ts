import { Worker } from '@temporalio/worker';
import { describe, expect, test } from 'vitest';
import { workflowBundle } from '../worker/run-worker.js';
import { storedHistories } from './helpers/histories.js';

/**
 * Incidents that were once real are replayed against the workflows as they are now. One that no longer replays would get stuck in the middle of
 * a disaster when Lifeboat is upgraded. If a change is meant: give it a patch() marker, or store the histories anew (npm run histories).
 */
describe('stored histories replay with the workflows of today', () => {
  const histories = storedHistories();

  test('each branch is stored', () => {
    expect(histories.map(({ name }) => name).sort()).toEqual(
      expect.arrayContaining(['abort', 'drill', 'fall-back-to-an-older-backup', 'repair', 'restore-latest', 'restore-to-a-time']),
    );
  });

  test.each(histories)('$name', async ({ history }) => {
    await Worker.runReplayHistory({ workflowBundle: workflowBundle() }, history);
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
