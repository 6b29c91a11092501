import { ApplicationFailure } from '@temporalio/common';
import { describe, expect, test } from 'vitest';
import { until } from '../../lab/wait.js';
import { incidentWorkflowId, recoveredWorkflowId } from '../../vocabulary/names.js';
import { people } from '../helpers/people.js';

/** Which incident a command means, and what is printed of one: real workflows, hosts as the test says. */
describe('the incident that is meant', { timeout: 900_000 }, () => {
  const all = people();
  const { declare, named, listed, recover } = all;
  const ran = async (...args: string[]) => {
    const result = await all.now.cli(args);
    expect(result, `lifeboat ${args.join(' ')}\n${result.stdout}${result.stderr}`).toMatchObject({ code: 0 });
    return result.stdout;
  };
  /** Deletes what Temporal keeps of a workflow, as its retention does. */
  const forget = async (workflowId: string) => {
    const { workflow, workflowService } = all.now.lifeboat.temporal;
    const { runId } = await workflow.getHandle(workflowId).describe();
    await workflowService.deleteWorkflowExecution({ namespace: 'default', workflowExecution: { workflowId, runId } });
    await until(
      'it is forgotten',
      () =>
        workflow
          .getHandle(workflowId, runId)
          .describe()
          .then(
            () => false,
            () => true,
          ),
      90,
      100,
    );
    await until(
      'it is not listed',
      async () => {
        for await (const one of workflow.list({ query: `WorkflowId = '${workflowId}'` }))
          if (one.runId === runId) return false;
        return true;
      },
      90,
      100,
    );
  };

  test('how far an incident is, is listed while no control worker runs', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    all.now.script['restoreBeside'] = () => promise.then(() => ({ summary: 'restored' }));
    const { id } = (await declare()).declared;
    await until('it restores', () => all.now.began.includes('restoreBeside'));
    const following = await all.now.startCli(['watch']);
    const told = (what: RegExp) => until(`watch says ${String(what)}`, () => what.test(following.tail(500)));
    await told(/Restore beside on db1/);
    await all.now.stopControl();
    try {
      const open = await until('it is listed', async () =>
        (await all.now.lifeboat.incidents()).find(({ step }) => step === 'Restore beside'),
      );
      expect(open).toMatchObject({ id, phase: 'open', endedAt: null });
      expect(await ran('incidents')).toMatch(new RegExp(`${id} .* open .* at "Restore beside"`));
      const looked = await all.now.cli(['watch', '--once']);
      expect(looked.code).toBe(6);
      expect(looked.stderr).toMatch(
        /no control worker took up the question\. By what Temporal keeps of it, it is at "Restore beside"[^]*lifeboat worker/,
      );
    } finally {
      resolve();
      await all.now.startControl();
    }
    await all.now.untilState('the approval', ({ question }) => question !== undefined);
    await told(/approval needed at "Approve"/);
    await until('it ends with the question', () => !following.isAlive());
  });

  test('what is printed of a recovered one works as it stands, also while another one is open', async () => {
    const first = await recover();
    const second = (await declare()).declared.id;
    expect(second).not.toBe(first);
    await all.now.untilState('the approval of the second', ({ question }) => question !== undefined);
    await listed(second);
    for (const shown of [await ran('watch', '--incident', first, '--once'), await ran('watch', first)]) {
      const printed = shown.split('\n').flatMap((line) => /^ +lifeboat (.*)$/.exec(line)?.[1] ?? []);
      expect(printed).toEqual([
        `report --incident ${first}`,
        `decide roll-back --reason "…" --incident ${first}`,
        `close --incident ${first}`,
      ]);
    }
    expect(await ran('report', '--incident', first)).toContain(first);
    const open = await all.now.cli(['close', '--as', 'ben', '--incident', first]);
    expect(open.stderr).toContain(`lifeboat note --incident ${first} --task NAME`);
    expect(open.stderr).toContain(`lifeboat close --incident ${first} --leave-tasks-open`);
    const abort = await all.now.cli(['abort', '--as', 'ben', '--reason', 'x', '--incident', first]);
    expect(abort.stderr).toContain(`lifeboat decide roll-back --incident ${first} --reason`);
    const closed = await ran('close', '--as', 'ben', '--incident', first, '--leave-tasks-open', 'x');
    expect(closed).toContain(`The report: lifeboat report --incident ${first}`);
  });

  test('every command means the one that holds the lock, also when a later one waits for its tasks; of several that wait, one is named', async () => {
    const first = await recover();
    const second = await recover();
    await listed(second);
    for (const args of [['watch', '--once'], ['watch'], ['report'], ['note', 'x']])
      expect(await all.now.cli(args), args.join(' ')).toMatchObject({
        code: 2,
        stderr: expect.stringMatching(/Several incidents wait for their tasks: .*\n→ Say which: --incident /),
      });
    all.now.script['stopWrites'] = () => {
      throw ApplicationFailure.create({ type: 'FenceFailed', message: 'no', nonRetryable: true });
    };
    await ran('decide', 'roll-back', '--reason', 'worse', '--as', 'asha', '--incident', first);
    await until('it is asked', async () => (await named(first).state()).question !== undefined, 90, 100);
    const shown = JSON.parse((await all.now.cli(['watch', '--once', '--json'])).stdout) as { state: { id: string } };
    expect(shown.state.id).toBe(first);
    expect((JSON.parse(await ran('report', '--json')) as { incident: { id: string } }).incident.id).toBe(first);
    await ran('note', 'of the first', '--as', 'asha');
    expect((await named(first).state()).notes.at(-1)!.text).toBe('of the first');
    expect((JSON.parse(await ran('report', second, '--json')) as { incident: { id: string } }).incident.id).toBe(
      second,
    );
    await ran('abort', '--as', 'asha', '--reason', 'enough', '--resume');
    await until('it is over', async () => !(await all.now.lifeboat.locked()), 90, 100);
  });

  test('one that waits for its tasks is meant although Temporal has forgotten the run that recovered it; then there is none, and that is said', async () => {
    const first = await recover();
    await listed(first);
    await forget(incidentWorkflowId(all.now.system));
    await ran('note', 'still here', '--as', 'asha');
    expect(await ran('watch', '--once')).toContain(first);
    await ran('close', '--as', 'ben', '--leave-tasks-open', 'x');
    await until('it is closed', async () => (await named(first).state()).phase === 'closed', 90, 100);
    await until('it has ended', async () => !(await named(first).running()), 90, 100);
    await forget(recoveredWorkflowId(all.now.system, first));
    for (const args of [
      ['watch', '--once'],
      ['report'],
      ['note', 'x'],
      ['close'],
      ['approve'],
      ['decide', 'retry'],
      ['abort', '--reason', 'x'],
    ])
      expect(await all.now.cli([...args, '--as', 'ben']), args.join(' ')).toMatchObject({
        code: 2,
        stdout: '',
        stderr: expect.stringMatching(/^No incident is open.*\n→ .*lifeboat start database-corruption/),
      });
  });
});
