import { type OnDatabase, step } from '../step.js';
import { anotherTarget } from './another-target.js';
import { mayTakeBack, noteFigures } from './copy-figures.js';
import { putNameBack } from './put-name-back.js';
import { setAsideDatabase } from './quarantine.js';
import { protectOldCopy } from './reprotect.js';
import { release } from './release.js';
import { resumeOldCopy } from './resume-old-copy.js';
import { stopAgain } from './stop-again.js';
import { noteBehind, toldBehind } from './written-behind.js';

/** Out of the copy, which is not needed any more then; the server and its timeline stay. */
export const putOneBack = step({
  name: 'Put the one database back',
  does: 'Where the cluster has other databases, which a restore would take back with it: the one database is dumped out of the restored copy, loaded beside, compared, and given its name; the old one is renamed aside, and all others stay as they are.',
  when: 'a person chose only this database',
  touches: 'production',
  host: ({ host }: OnDatabase) => host,
  handsBack: ['WrittenBehindFence'],
  async run(at, on: OnDatabase) {
    const { database, host } = on;
    const { state } = at;
    const placed = await at
      .on(host, 'long')
      .putOneBack({ database, behind: toldBehind(at) })
      .catch((error: unknown) => {
        noteBehind(at, database, error);
        throw error;
      });
    const { aside, bytes, copy } = placed;
    // A database that was dropped leaves none to be renamed aside, and nothing to go back to.
    if (aside !== '') state.quarantine.push({ host: placed.host, path: aside, bytes, what: setAsideDatabase });
    state.quarantine.push({
      host: placed.host,
      path: copy,
      bytes: 0,
      what: 'the restored copy of the whole cluster, not in use',
    });
    const component = at.component(database);
    component.lost = component.lost.map((lost) => `${lost}, of ${database} alone`);
    state.canRollBack = aside !== '';
    await noteFigures(at, on);
    return { summary: placed.summary };
  },
  choices: [anotherTarget],
  async settle(at, { database, host }, { recovered }) {
    if (recovered || !at.real) return [];
    return [
      await at.orElse(
        async () => (await at.on(host, 'tidy').settleOne({ database })).summary,
        ({ message }) =>
          `which database of the name is in place on ${host} could not be seen: look there before you do anything (${message})`,
      ),
    ];
  },
  mayUndo: mayTakeBack,
  undo: [stopAgain, putNameBack, resumeOldCopy, protectOldCopy, release],
  undone: 'the old database has its name again, with what it held before the recovery, and the service resumed on it',
});
