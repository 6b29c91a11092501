import { onHost } from '../../plan/access.js';
import { code, plain } from '../../plan/markdown.js';
import { restoredDirectory } from '../../vocabulary/names.js';
import { step } from '../step.js';
import { anotherTarget } from './another-target.js';
import { firstThatHolds } from './backups-in-turn.js';
import type { Sources } from './choose-backup.js';
import { askStandbys, restoreWith } from './standby-wal.js';

/** Tries the backups that fit, newest first and location by location, until one is restored. */
export const restoreBeside = step({
  name: 'Restore beside',
  does: 'The backup is restored into a new directory beside the damaged one, on another port, with archiving off, and recovered to the target. A damaged backup is reported and the next one used.',
  when: 'a repair is not enough, or a target was given',
  here({ databases, system }, database) {
    const { dataDirectory = '', primary } = databases[database]!.postgres;
    return `into ${code(restoredDirectory(onHost(dataDirectory, primary), `${system}-YYYYMMDD-HHMMSS`))} on ${plain(primary)}.`;
  },
  touches: 'scratch',
  host: ({ host }: Sources) => host,
  async run(at, { candidates, standbys, ...on }: Sources) {
    // Asked anew: who retries may have brought one back.
    const known = at.attempt > 1 ? await askStandbys(at, on.database) : standbys;
    const restored = await firstThatHolds(at, candidates, (candidate) => restoreWith(at, on, candidate, known));
    return { summary: restored.summary, standbys: known };
  },
  choices: [anotherTarget],
  /**
   * The copy is a drill's own, and is removed; that of an incident is kept for who looks into it, and its server
   * stopped.
   */
  async settle(at, { database, host }, { recovered }) {
    const agent = at.on(host, 'tidy');
    if (!at.real)
      return [
        await at.orElse(
          async () => (await agent.discardCopy({ database })).summary,
          ({ message }) => `the scratch copy on ${host} could not be removed: lifeboat doctor shows it (${message})`,
        ),
      ];
    if (recovered) return [];
    return [
      await at.orElse(
        async () => (await agent.stopCopy({ database })).summary,
        ({ message }) => `the restored copy on ${host} may still run (${message})`,
      ),
    ];
  },
});
