import { type OnDatabase, step } from '../step.js';
import { type Assessment, assessment, notAssessed } from './assess.js';

export const repair = step({
  name: 'Repair',
  does: 'The damaged indexes are rebuilt (REINDEX), tables rewritten where asked (VACUUM FULL), and the assessment runs again.',
  when: 'only indexes are damaged',
  touches: 'production',
  host: ({ host }: OnDatabase & { damage: Assessment }) => host,
  async run(at, { damage, ...on }: OnDatabase & { damage: Assessment }) {
    const { database, host } = on;
    const { damagedIndexes } = damage;
    const done = await at
      .on(host, 'long')
      .repair({ database, damagedIndexes, vacuumFull: at.request.vacuumFull === true });
    const after = await assessment(at, on, 2);
    return { ...after, summary: `${done.summary}; then ${after.summary}` };
  },
  without: () => notAssessed(),
});
