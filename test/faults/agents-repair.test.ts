import { afterAll, test } from 'vitest';
import { createLab, type Lab } from '../../lab/lab.js';
import { declare, endLab, protect } from '../helpers/incident.js';
import { disaster } from './disaster.js';
import { repair, untilAssessed, untilReleased } from './points.js';
import { expectRecovered } from './recovered.js';
import { expectVisited, startWalk, untilRecovered } from './walk.js';

let lab: Lab | undefined;
afterAll(() => endLab(lab));

test('agents that are killed at every point of a repair', { timeout: 900_000 }, async () => {
  lab = await createLab({ standby: true, fast: true, rows: 2000 });
  await protect(lab);
  const before = await disaster(lab, 'repair');
  for (const agent of Object.values(lab.agents)) await agent.kill9();
  const walk = await startWalk(lab);
  await declare(lab, { vacuumFull: true });
  await untilRecovered(lab, walk);
  for (const agent of walk.agents) await agent.stop();
  await lab.startAgents();
  await expectRecovered(lab, before);
  expectVisited(walk, {
    ...untilAssessed,
    repair: [...repair.repair, 'before vacuum full', 'after vacuum full'],
    ...untilReleased,
    rebuildStandby: [],
  });
});
