import { afterAll, expect, test } from 'vitest';
import { createLab, type Lab } from '../../lab/lab.js';
import { processes, signal } from '../../lab/processes.js';
import { until } from '../../lab/wait.js';
import { declare, endLab, ran, stateOf, untilState } from '../helpers/incident.js';
import { disaster } from './disaster.js';
import { expectRecovered } from './recovered.js';
import { approve, untilApproval, untilRecovered } from './walk.js';

let lab: Lab | undefined;
afterAll(() => endLab(lab));

test('lifeboat up that is killed and started again goes on with the incident', { timeout: 1_800_000 }, async () => {
  lab = await createLab({ fast: true, temporal: 'none' });
  const { directory } = lab;
  /** What `up` keeps running: Temporal, the control worker, the agents. */
  const parts = (): number[] =>
    processes()
      .filter(
        ({ command }) =>
          command.includes(directory) &&
          / (start-dev|worker|agent) /.test(`${command} `) &&
          !command.startsWith('/bin/sh'),
      )
      .map(({ pid }) => pid);
  const up = await lab.startUp();
  await ran(lab, ['backup', 'create', '--full']);
  expect(parts()).toHaveLength(4);
  const before = await disaster(lab, 'restore');
  await declare(lab);

  // SIGKILL to `up` alone, as the OOM killer does it: what it started ends with it, and the next one starts it anew.
  const killUp = async (): Promise<void> => {
    const old = parts();
    signal(up.pid(), 'SIGKILL');
    await until('what it had started is gone', () => old.every((pid) => !parts().includes(pid)), 60);
    await up.restart();
    expect(parts()).toHaveLength(4);
  };
  await untilState(lab, 'the restore runs', ({ steps }) => steps.some(({ name }) => name === 'Restore beside'));
  await killUp();
  await untilApproval(lab, 'lifeboat up was killed once');
  await killUp();
  expect((await stateOf(lab)).question).toMatchObject({ kind: 'approval' });
  await approve(lab);
  await untilState(lab, 'it is put in place', ({ steps }) => steps.some(({ name }) => name === 'Put it in place'));
  await killUp();
  await untilRecovered(lab, 'lifeboat up was killed three times');
  await expectRecovered(lab, before);

  // Told to end, it takes everything along, in order.
  await up.stop();
  expect(parts()).toEqual([]);
});
