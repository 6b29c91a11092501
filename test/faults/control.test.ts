import { afterAll, expect, test } from 'vitest';
import { createLab, type Lab } from '../../lab/lab.js';
import { declare, endLab, protect } from '../helpers/incident.js';
import { disaster } from './disaster.js';
import { activitiesOfARestore, killAtEveryStep } from './events.js';
import { expectRecovered } from './recovered.js';
import { supervise } from './supervisor.js';
import { recovering } from './walk.js';

let lab: Lab | undefined;
afterAll(() => endLab(lab));

test('a control worker that is killed in the middle of every step and at the end of every step', { timeout: 900_000 }, async () => {
  lab = await createLab({ standby: true, fast: true, rows: 2000 });
  await protect(lab);
  const before = await disaster(lab, 'restore');
  await lab.control!.kill9();
  const control = await supervise(lab, 'control', ['worker']);
  let over = false;
  const killing = killAtEveryStep(lab, { kill: () => control.kill9(), over: () => over });
  const told = { toString: () => `the control worker was killed ${control.deaths()} times` };
  await declare(lab);
  const [killed] = await Promise.all([killing, recovering(lab, told).then(() => (over = true))]);
  await expectRecovered(lab, before);
  await control.stop();
  expect(killed).toEqual(expect.arrayContaining(activitiesOfARestore.flatMap((activity) => [`${activity} running`, `${activity} done`])));
});
