import { execFileSync } from 'node:child_process';
import { Context } from '@temporalio/activity';
import { describe, expect, test } from 'vitest';
import { tool } from '../../lab/tools.js';
import { until } from '../../lab/wait.js';
import { incidentWorkflowId } from '../../vocabulary/names.js';
import { people } from '../helpers/people.js';

/**
 * Somebody who knows Temporal uses its own CLI on an incident that runs: it says what holds it, and goes on well after.
 */
describe("Temporal's own CLI on an incident", { timeout: 600_000 }, () => {
  const all = people();
  const temporal = (...args: string[]) =>
    execFileSync(tool('temporal'), [...args, '--address', process.env['TEMPORAL_ADDRESS']!], { encoding: 'utf8' });
  const workflow = () => incidentWorkflowId(all.now.system);
  const seen = async () => (await all.now.cli(['watch', '--once'])).stdout;

  test('an activity that is paused there: watch says so, by whom, and what to type; unpaused, the incident recovers', async () => {
    const attempts: number[] = [];
    let paused = false;
    all.now.script['restoreBeside'] = async () => {
      attempts.push(Context.current().info.attempt);
      if (attempts.length > 1) return { summary: 'restored' };
      // As our agents: it heartbeats, and ends when it is told to.
      for (;;) {
        Context.current().heartbeat();
        await Promise.race([Context.current().cancelled, new Promise((resolve) => setTimeout(resolve, 200))]).catch(
          (error: unknown) => {
            paused = true;
            throw error;
          },
        );
      }
    };
    await all.declare();
    const pending = await until('the restore runs', async () => {
      const { raw } = await all.now.lifeboat.temporal.workflow.getHandle(workflow()).describe();
      return raw.pendingActivities?.find(
        ({ activityType, state }) => activityType?.name === 'restoreBeside' && Number(state) === 2,
      );
    });
    temporal('activity', 'pause', '--workflow-id', workflow(), '--activity-id', pending.activityId!);
    const said = await until('watch says that it is paused', async () => {
      const text = await seen();
      return /paused/.test(text) ? text : undefined;
    });
    expect(said).toMatch(/restoreBeside is paused in Temporal, by temporal-cli:\S+\. To go on:/);
    await until('the attempt that ran has ended', () => Promise.resolve(paused), 90);
    expect(await seen()).toContain(
      `temporal activity unpause --workflow-id ${workflow()} --activity-id ${pending.activityId!}`,
    );
    temporal('activity', 'unpause', '--workflow-id', workflow(), '--activity-id', pending.activityId!);
    const { question } = await all.now.untilState('the approval', (state) => state.question !== undefined);
    expect(question).toMatchObject({ kind: 'approval' });
    await all.now.lifeboat.incident().approve({ by: 'asha', question: question!.id });
    await until('the lock is free', async () => !(await all.now.lifeboat.locked()), 90, 100);
    // The verification looks whether it is there, too.
    expect(attempts, 'the same activity went on').toEqual([1, 2, 1]);
  });

  test('an incident that is reset there goes on from that moment, asks again what was asked after it, and recovers', async () => {
    await all.declare();
    const { question, id } = await all.now.untilState('the approval', (state) => state.question !== undefined);
    temporal('workflow', 'reset', '--workflow-id', workflow(), '--type', 'LastWorkflowTask', '--reason', 'a test');
    const again = await all.now.untilState('the approval is asked', (state) => state.question !== undefined);
    expect({ id: again.id, step: again.question!.step }, 'the same incident').toEqual({ id, step: question!.step });
    await all.now.lifeboat.incident().approve({ by: 'asha', question: again.question!.id });
    await until('the lock is free', async () => !(await all.now.lifeboat.locked()), 90, 100);
    const recovered = await all.untilNamed(id, 'it is recovered', (state) => state.phase === 'recovered');
    expect(recovered.steps.find(({ name }) => name === 'Approve')?.decision).toMatchObject({ by: 'asha' });
  });
});
