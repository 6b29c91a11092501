import { afterAll, expect, test } from 'vitest';
import { createLab, type Lab } from '../../lab/lab.js';
import { signal } from '../../lab/processes.js';
import { declare, endLab, protect } from '../helpers/incident.js';
import { disaster } from './disaster.js';
import { halfOfTheSteps, killAtSteps } from './events.js';
import { expectRecovered } from './recovered.js';
import { seedInWords } from './seed.js';
import { recovering } from './walk.js';

let lab: Lab | undefined;
afterAll(() => endLab(lab));

test('a Temporal server that is killed in the middle or at the end of every step', { timeout: 1_800_000 }, async () => {
  lab = await createLab({ standby: true, fast: true, rows: 2000 });
  await protect(lab);
  const { temporal, control } = lab;
  const before = await disaster(lab, 'restore');
  await declare(lab, { to: before.moment });
  let over = false;
  let deaths = 0;
  const points = halfOfTheSteps('Temporal');
  const killing = killAtSteps(lab, {
    points,
    // The control worker is held while Temporal is away, or several steps would pass before the next death.
    async kill() {
      deaths += 1;
      signal(control!.pid(), 'SIGSTOP');
      await temporal!.kill9();
      await temporal!.restart();
    },
    goOn: () => signal(control!.pid(), 'SIGCONT'),
    over: () => over,
  });
  const told = { toString: () => `Temporal was killed ${deaths} times (${seedInWords()})` };
  // A server that does not come back is told at once.
  const [killed] = await Promise.all([killing, recovering(lab, told).then(() => (over = true))]);
  await expectRecovered(lab, before, 'time');
  expect(killed.sort()).toEqual(points.sort());
});
