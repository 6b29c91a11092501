import { type Assessment, notChecked } from '../database/assess.js';
import { question } from '../step.js';

/** Nothing is damaged, or only a person knows to which moment the data was right. */
export const chooseTarget = question({
  name: 'Choose the target',
  does: 'A person says to which moment the data goes back, or that it stays as it is.',
  when: 'nothing is damaged, or the data is wrong in sound pages',
  asks: (_at, damage: Assessment) =>
    Promise.resolve({
      text:
        damage.classification === 'healthy'
          ? 'No damage was found in what was checked. Restore (--to latest: all that was committed; or to an earlier moment), or resume on it as it is?'
          : 'What was checked of the pages is sound, but the data is not as it should be. To which moment shall it go back (--to latest: all that was committed)?',
      facts: [...damage.findings, ...notChecked(damage)],
      choices: [
        {
          name: 'restore',
          meaning: 'restore to the latest moment, or to one before the damage',
          needs: ['target'],
          alone: true,
        },
        { name: 'keep', meaning: 'resume on the database as it is', needs: ['reason'], alone: true },
      ],
    }),
});
