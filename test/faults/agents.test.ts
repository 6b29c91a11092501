import { afterAll, test } from 'vitest';
import { createLab, type Lab } from '../../lab/lab.js';
import { declare, endLab, protect } from '../helpers/incident.js';
import { disaster, noAgents } from './disaster.js';
import { onlyAfterADeath, putInPlace, rebuildStandby, untilAssessed, untilReleased, untilVerified } from './points.js';
import { expectRecovered } from './recovered.js';
import { chosen, seedInWords } from './seed.js';
import { expectDeaths, recovering, startWalk } from './walk.js';

let lab: Lab | undefined;
afterAll(() => endLab(lab));

/**
 * Every point of every step is walked without Temporal (steps.test.ts, rebuild.test.ts). Here agents die at a few of
 * them in a real incident: the one that comes back says what its predecessor left, Temporal tries again, and together
 * they take the step up.
 */
test('agents that are killed at ten points of an incident', { timeout: 1_800_000 }, async () => {
  console.log(seedInWords());
  lab = await createLab({ standby: true, fast: true, rows: 2000 });
  await protect(lab);
  const before = await disaster(lab, 'restore');
  await noAgents(lab);
  const points = chosen(
    10,
    { ...untilAssessed, ...untilVerified, ...putInPlace, ...untilReleased, ...rebuildStandby },
    onlyAfterADeath,
  );
  const walk = await startWalk(lab, points);
  await declare(lab, { to: before.moment });
  await recovering(lab, walk);
  for (const agent of walk.agents) await agent.stop();
  await lab.startAgents();
  await expectRecovered(lab, before, 'time');
  expectDeaths(walk, points);
});
