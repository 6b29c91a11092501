import { ApplicationFailure } from '@temporalio/common';
import { describe, expect, test } from 'vitest';
import { until } from '../../lab/wait.js';
import { incidentWorkflowId } from '../../vocabulary/names.js';
import { people } from '../helpers/people.js';

/** What `start` says, and when it is refused: real workflows, hosts as the test says. */
describe('a start', { timeout: 900_000 }, () => {
  const all = people();
  const { declare } = all;
  const start = (...more: string[]) => all.now.cli(['start', 'database-corruption', '--as', 'dee', ...more]);

  test('that joins an open incident prints what it joined as JSON, with and without --detach', async () => {
    const { declared } = await declare();
    await all.now.untilState('the approval', ({ question }) => question !== undefined);
    for (const detach of [[], ['--detach']]) {
      const joined = await start('--json', ...detach);
      expect(joined, joined.stderr).toMatchObject({ code: 3 });
      expect(JSON.parse(joined.stdout)).toMatchObject({ id: declared.id, attached: true });
    }
  });

  test('that joins one which is refused at its check is told whose it was, and that nothing of its own was begun', async () => {
    let refuse = () => undefined as void;
    all.now.script['checkRequest'] = async () => {
      await new Promise<void>((resolve) => (refuse = resolve));
      throw ApplicationFailure.create({
        ...{ type: 'NoBackup', message: 'there is no backup', nonRetryable: true },
        details: [{ hint: 'See what there is: lifeboat backup list' }],
      });
    };
    const first = declare({ declaredBy: 'asha' });
    await until('it is being checked', () => all.now.began.includes('checkRequest'), 90);
    const second = start();
    const { workflow } = all.now.lifeboat.temporal;
    await until('both wait for the check', async () => {
      const { events } = await workflow.getHandle(incidentWorkflowId(all.now.system)).fetchHistory();
      return events?.filter((event) => event.workflowExecutionUpdateAcceptedEventAttributes).length === 2;
    });
    refuse();
    const { declared } = await first;
    expect(declared.answer).toBe('refused');
    const said = await second;
    expect(said, said.stdout + said.stderr).toMatchObject({ code: 3, stdout: '' });
    expect(said.stderr).toMatch(
      new RegExp(`${declared.id} was open already, declared by asha, and was refused at its check: there is no backup`),
    );
    expect(said.stderr).toMatch(
      /yours was not begun, and nothing was changed[^]*→ .*lifeboat backup list.*say it again/i,
    );
  });

  test('is compared with the target that the open incident has now, and not with the one that it was declared with', async () => {
    const [before, now] = ['2026-11-21T03:15:00Z', '2026-11-21T03:20:00Z'];
    await declare({ target: before });
    const { question } = await all.now.untilState('the approval', (state) => state.question !== undefined);
    await all.now.lifeboat.incident().decide({ by: 'asha', choice: 'restore', target: now, question: question!.id });
    await all.now.untilState('the next approval', (state) => (state.question?.id ?? 0) > question!.id);
    const same = await start('--to', now);
    expect(same, same.stderr).toMatchObject({ code: 3, stdout: expect.stringContaining(`target ${now}`) });
    const other = await start('--to', before);
    expect(other).toMatchObject({ code: 3, stdout: '' });
    expect(other.stderr).toContain(`its target is ${now}, and you asked for ${before}`);
  });

  test('is refused before anything is changed where the agent is of another version, with what is to be updated on which host', async () => {
    const result = all.now.defaults['checkRequest']!({} as never) as object;
    for (const [protocol, which] of [
      [undefined, 'older'],
      [0, 'older'],
      [1e6, 'newer'],
    ] as const) {
      all.now.script['checkRequest'] = () => ({ ...result, protocol });
      const began = all.now.began.length;
      const refused = await start();
      expect(refused, refused.stdout + refused.stderr).toMatchObject({ code: 3 });
      expect(refused.stderr).toMatch(
        new RegExp(
          `Refused, and nothing was changed: the agent of db1 runs an? ${which} Lifeboat than the control worker`,
        ),
      );
      expect(refused.stderr).toMatch(
        which === 'older'
          ? /→ Install .* on db1.*lifeboat agent --host db1/
          : /→ Install .*control worker.*lifeboat worker/,
      );
      expect(
        all.now.began.slice(began).filter((name) => !['readPlan', 'checkRequest', 'writeReport'].includes(name)),
      ).toEqual([]);
      await until('it is over', async () => !(await all.now.lifeboat.locked()), 90, 100);
    }
  });
});
