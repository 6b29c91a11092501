import { afterAll, expect, test } from 'vitest';
import { createLab, type Lab } from '../../lab/lab.js';
import { declare, endLab, protect } from '../helpers/incident.js';
import { disaster } from './disaster.js';
import { halfOfTheSteps, killAtSteps } from './events.js';
import { expectRecovered } from './recovered.js';
import { seedInWords } from './seed.js';
import { supervise } from './supervisor.js';
import { recovering } from './walk.js';

let lab: Lab | undefined;
afterAll(() => endLab(lab));

test('a control worker that is killed in the middle or at the end of every step', { timeout: 1_800_000 }, async () => {
  lab = await createLab({ standby: true, fast: true, rows: 2000 });
  await protect(lab);
  const before = await disaster(lab, 'restore');
  await lab.control!.kill9();
  const control = await supervise(lab, 'control', ['worker']);
  let over = false;
  const points = halfOfTheSteps('control worker');
  const killing = killAtSteps(lab, { kill: () => control.kill9(), over: () => over, points });
  const told = { toString: () => `the control worker was killed ${control.deaths()} times (${seedInWords()})` };
  await declare(lab);
  const [killed] = await Promise.all([killing, recovering(lab, told).then(() => (over = true))]);
  await expectRecovered(lab, before);
  await control.stop();
  expect(killed.sort()).toEqual(points.sort());
});
