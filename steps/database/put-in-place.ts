import { onHost } from '../../plan/access.js';
import { code } from '../../plan/markdown.js';
import { quarantineDirectory } from '../../vocabulary/names.js';
import { isFailureOf } from '../failure.js';
import { type OnDatabase, step } from '../step.js';
import { mayTakeBack, noteFigures } from './copy-figures.js';
import { putCopyBack } from './put-copy-back.js';
import { damagedDirectory } from './quarantine.js';
import { protectOldCopy } from './reprotect.js';
import { release } from './release.js';
import { resumeOldCopy } from './resume-old-copy.js';
import { stopAgain } from './stop-again.js';
import { noteBehind, toldBehind } from './written-behind.js';

export const putInPlace = step({
  name: 'Put it in place',
  does: 'The damaged data directory is renamed aside (quarantined), the restored one takes its place, starts, and is verified again; if it does not, the old one is put back.',
  when: 'restored',
  here({ databases, system }, database) {
    const { dataDirectory = '', primary } = databases[database]!.postgres;
    return `the damaged data goes to ${code(quarantineDirectory(onHost(dataDirectory, primary), `${system}-YYYYMMDD-HHMMSS`))}, and stays there until someone removes it.`;
  },
  touches: 'production',
  host: ({ host }: OnDatabase) => host,
  handsBack: ['WrittenBehindFence'],
  async run(at, on: OnDatabase) {
    const { database, host } = on;
    const { state } = at;
    const agent = at.on(host, 'change');
    try {
      const placed = await agent.putInPlace({ database, behind: toldBehind(at) });
      if (at.form === 'execute') {
        const { quarantine: path, bytes, canGoBack, warnings } = placed;
        if (bytes > 0) state.quarantine.push({ host: placed.host, path, bytes, what: damagedDirectory });
        state.canRollBack = canGoBack;
        at.warn(...warnings);
        await noteFigures(at, on);
      }
      return { summary: placed.summary };
    } catch (error) {
      noteBehind(at, database, error);
      const why = isFailureOf(error, 'VerificationFailed', 'ServerFailed', 'CommandFailed', 'FenceFailed');
      if (!why || at.form === 'rehearse') throw error;
      const back = await agent.putBack({ database });
      at.warn(`the restored copy did not hold in place (${why}); ${back.summary}`);
      throw error;
    }
  },
  mayUndo: mayTakeBack,
  undo: [stopAgain, putCopyBack, resumeOldCopy, protectOldCopy, release],
  undone:
    'the quarantined copy is in place again, with what it held before the recovery, and the service resumed on it',
});
