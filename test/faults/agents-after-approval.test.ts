import { afterAll, test } from 'vitest';
import { createLab, type Lab } from '../../lab/lab.js';
import { declare, endLab, protect } from '../helpers/incident.js';
import { disaster } from './disaster.js';
import { putInPlace, untilReleased } from './points.js';
import { expectRecovered } from './recovered.js';
import { approve, expectVisited, startWalk, untilApproval, untilRecovered } from './walk.js';

let lab: Lab | undefined;
afterAll(() => endLab(lab));

test('agents that are killed at every point after the approval', { timeout: 900_000 }, async () => {
  lab = await createLab({ standby: true, fast: true, rows: 2000, locations: 2 });
  await protect(lab);
  const before = await disaster(lab, 'restore');
  await declare(lab);
  await untilApproval(lab, 'nobody was killed yet');
  for (const agent of Object.values(lab.agents)) await agent.kill9();
  const walk = await startWalk(lab);
  await approve(lab);
  await untilRecovered(lab, walk);
  for (const agent of walk.agents) await agent.stop();
  await lab.startAgents();
  await expectRecovered(lab, before);
  // The standby had received no more than the copy has, and follows it by itself: nothing of it is rebuilt.
  expectVisited(walk, { ...putInPlace, ...untilReleased });
});
