import { ApplicationFailure } from '@temporalio/common';
import { describe, expect, test } from 'vitest';
import { until } from '../../lab/wait.js';
import { incidentWorkflowId, recoveredWorkflowId } from '../../vocabulary/names.js';
import { people } from '../helpers/people.js';

/** How an incident ends, and what is said of it before: real workflows, hosts as the test says. */
describe('the end of an incident', { timeout: 900_000 }, () => {
  const all = people();
  const { declare, named, listed, recover, untilNamed } = all;
  const no = (message: string) => () => {
    throw ApplicationFailure.create({ type: 'ServerFailed', message, nonRetryable: true });
  };
  const meaning = (state: { question?: { choices: { name: string; meaning: string }[] } }, name: string) =>
    state.question!.choices.find((choice) => choice.name === name)?.meaning;
  const approve = async (choice: 'approve' | 'only') => {
    const { question } = await all.now.untilState('the approval', (state) => state.question?.kind === 'approval');
    await all.now.lifeboat.incident().decide({ by: 'asha', choice, question: question!.id });
  };
  const abort = async () => {
    await all.now.lifeboat.incident().abort({ by: 'asha', reason: 'enough', resume: false });
    return all.now.untilState('it is aborted', ({ phase }) => phase === 'aborted');
  };
  const alone = () => {
    all.now.script['lookAtNeighbours'] = () => ({ summary: '', lines: ['crm (3 MB)'], notAlone: null });
  };

  test('where one database was put back, the questions and the end say so, and not that a directory was', async () => {
    alone();
    all.now.script['openDatabase'] = no('it does not start');
    await declare();
    await approve('only');
    const asked = await all.now.untilState('it is asked', ({ question }) => question?.step === 'Resume the service');
    expect(meaning(asked, 'roll-back')).toBe('give the old database its name back, and resume on it');
    expect(meaning(asked, 'abort')).toBe('end the incident; writes stay stopped unless you say --resume');
    const { ending, canRollBack } = await abort();
    expect(ending).toMatch(/shop is the one out of the copy/);
    expect(ending).toMatch(/services that were stopped stay stopped/);
    expect(ending, 'no directory was moved').not.toMatch(/restored copy is in place|damaged database is where it was/);
    expect(canRollBack).toBe(false);
  });

  test('where one database was put back, a roll-back says that it has its name again', async () => {
    alone();
    all.now.script['watchDatabase'] = no('it does not answer');
    await declare();
    await approve('only');
    const asked = await all.now.untilState('it is asked', ({ question }) => question?.step === 'Watch');
    await all.now.lifeboat.incident().decide({ by: 'asha', choice: 'roll-back', reason: 'worse' });
    const { ending } = await untilNamed(asked.id, 'it is rolled back', ({ phase }) => phase === 'rolled back');
    expect(ending).toMatch(/^The old database has its name again, with what it held before the recovery/);
  });

  test('after the service was resumed, an abort does not say that writes stay stopped; before anything was stopped, it says that', async () => {
    all.now.script['checkRequest'] = no('the disk is away');
    await declare();
    const first = await all.now.untilState('it is asked', ({ question }) => question?.step === 'Check the request');
    expect(meaning(first, 'abort')).toBe('end the incident; nothing was changed');
    delete all.now.script['checkRequest'];
    all.now.script['watchDatabase'] = no('it does not answer');
    await all.now.lifeboat.incident().decide({ by: 'asha', choice: 'retry', question: first.question!.id });
    await approve('approve');
    const asked = await all.now.untilState('it is asked again', ({ question }) => question?.step === 'Watch');
    expect(meaning(asked, 'abort')).toBe('end the incident; the service goes on as it stands');
    const said = await all.now.cli(['abort', '--as', 'asha', '--reason', 'enough']);
    expect(said.stdout).toMatch(/^aborting: the service goes on as it stands/);
    const { ending } = await all.now.untilState('it is aborted', ({ phase }) => phase === 'aborted');
    expect(ending).not.toMatch(/stay stopped/);
  });

  test("one that waits for its tasks tells its story in Temporal's own UI from its first moment on", async () => {
    const first = await recover();
    const { workflow } = all.now.lifeboat.temporal;
    const metadata = await workflow
      .getHandle(recoveredWorkflowId(all.now.system, first))
      .query<{ currentDetails?: string }>('__temporal_workflow_metadata');
    expect(metadata.currentDetails).toMatch(
      new RegExp(`^\\*\\*${first}\\*\\* · database-corruption of main · recovered`),
    );
  });

  test('a cancellation while the report of a recovery is written ends it as closed, and is not swallowed', async () => {
    let written = 0;
    let goOn = () => undefined as void;
    all.now.script['writeReport'] = async () => {
      written += 1;
      // The first one is a step; the second says that it is recovered.
      if (written === 2) await new Promise<void>((resolve) => (goOn = resolve));
      return { summary: 'report.html', path: 'report.html' };
    };
    const { incident, declared } = await declare();
    await approve('approve');
    await until('the report is being written', () => written === 2, 90);
    const handle = all.now.lifeboat.temporal.workflow.getHandle(incidentWorkflowId(all.now.system));
    await handle.cancel();
    await until('the cancellation is known', async () => {
      const { events } = await handle.fetchHistory();
      return events?.some((event) => event.activityTaskCancelRequestedEventAttributes);
    });
    goOn();
    await until('it has ended', async () => !(await incident.running()), 90, 100);
    expect((await handle.describe()).status.name).toBe('CANCELLED');
    expect(await incident.state()).toMatchObject({
      phase: 'closed',
      ending: expect.stringMatching(/^Closed by a cancellation/),
    });
    await listed(declared.id);
    expect(await named(declared.id).running(), 'it did not go on beside').toBe(false);
  });
});
