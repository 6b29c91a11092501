import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { beforeAll, describe, expect, test } from 'vitest';
import { isStep } from '../steps/step.js';
import { scenarios } from '../scenarios/all.js';
import { workflowBundle } from '../worker/run-worker.js';
import { storedHistories } from './helpers/histories.js';

/**
 * Incidents that were once real are replayed against the workflows as they are now. One that no longer replays would
 * get stuck in the middle of a disaster when Lifeboat is upgraded. If a change is meant: give it a patch() marker, or
 * store the histories anew (npm run histories).
 */
describe('stored histories replay with the workflows of today', () => {
  const histories = storedHistories();
  beforeAll(() => void Runtime.install({ logger: new DefaultLogger('WARN') }));

  test('each branch is stored', () => {
    expect(histories.map(({ name }) => name).sort()).toEqual(
      expect.arrayContaining([
        'abort',
        'drill',
        'fall-back-to-an-older-backup',
        'repair',
        'restore-latest',
        'restore-to-a-time',
      ]),
    );
  });

  test.each(histories)('$name', async ({ history }) => {
    await Worker.runReplayHistory({ workflowBundle: workflowBundle() }, history);
  });

  test.each(histories)('$name has no step that stands in no scenario, and none before its turn', ({ history }) => {
    expect(outOfTurn(stepsIn(history.events))).toEqual([]);
  });

  test('a step that stands in no scenario is noticed, and one before its turn', () => {
    expect(outOfTurn(['Check the request', 'Stop writes', 'Fail over'])).toEqual(['"Fail over" stands in no list']);
    expect(outOfTurn(['Stop writes', 'Check the request'])).toEqual(['"Check the request" after "Stop writes"']);
    const again = [
      'Choose the backup',
      'Restore beside',
      'Verify the restored copy',
      'Choose the backup',
      'Restore beside',
    ];
    expect(outOfTurn(again)).toEqual([]);
  });

  test('a history that today’s workflows would have written otherwise is noticed', async () => {
    const { history } = structuredClone(histories.find(({ name }) => name === 'repair')!);
    const scheduled = history.events.flatMap(
      (event) =>
        (event['activityTaskScheduledEventAttributes'] as { activityType: { name: string } } | undefined) ?? [],
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

/** The steps that an incident's activities were called by, in their order: their summaries say it. */
function stepsIn(events: Record<string, unknown>[]): string[] {
  const names = events.flatMap(({ activityTaskScheduledEventAttributes, userMetadata }) => {
    const data = (userMetadata as { summary?: { data?: Uint8Array } } | undefined)?.summary?.data;
    if (!activityTaskScheduledEventAttributes || !data) return [];
    const summary = JSON.parse(Buffer.from(data).toString('utf8')) as string;
    // Read before the first step, and after an answer.
    return summary.includes(': reading the plan') ? [] : [summary.split(' · ')[0]!];
  });
  return names.filter((name, index) => name !== names[index - 1]);
}

/** Where a person asks for another target, or somebody wrote behind the fence, it goes back. */
const goesBackTo = ['Choose the backup', 'Verify the restored copy'];

/** The steps of an incident that do not follow the list of its scenario, or of a roll-back, each in a sentence. */
function outOfTurn(names: string[]): string[] {
  const { steps } = scenarios['database-corruption'];
  const lists = [steps, ...steps.filter(isStep).flatMap(({ undo }) => (undo ? [undo] : []))].map((list) =>
    list.map(({ name }) => name),
  );
  // What is said of a standby has its name behind it.
  const place = (list: string[], name: string) => list.findIndex((one) => name === one || name.startsWith(`${one} `));
  const [forward = [], ...back] = lists;
  let list = forward;
  let at = -1;
  let before = '';
  return names.flatMap((name) => {
    const rollBack = back.find((one) => one[0] === name);
    if (rollBack) [list, at] = [rollBack, -1];
    const next = place(list, name);
    const wrong =
      next < 0
        ? `"${name}" stands in no list`
        : next < at && !goesBackTo.includes(name)
          ? `"${name}" after "${before}"`
          : undefined;
    if (next >= 0) [at, before] = [next, name];
    return wrong ?? [];
  });
}
