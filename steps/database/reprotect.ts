import { plain } from '../../plan/markdown.js';
import { sentenceList } from '../../plan/words.js';
import { isFailureOf } from '../failure.js';
import { wasResumed } from '../services/resume-service.js';
import { type At, type OnDatabase, step } from '../step.js';

/** After a recovery: the canary and archiving run, and a new full backup is taken on the new timeline. */
export const reprotect = step({
  name: 'Re-protect',
  does: 'The canary runs, archiving is proven, and a new full backup is taken on the new timeline.',
  here(plan, database) {
    const { backups } = plan.databases[database]!;
    return `full backup to ${plain(sentenceList(backups.physical?.locations ?? []))}.`;
  },
  touches: 'production',
  host: ({ host }: OnDatabase) => host,
  async run(at, on: OnDatabase) {
    // It may have died since: what was open is opened again, since nothing else would start it.
    if (at.attempt > 1 && wasResumed(at, on)) await at.on(on.host, 'change').openDatabase({ database: on.database });
    return protect(at, on, at.run);
  },
  without: () => ({ summary: 'the database is NOT protected until a backup is taken' }),
});

/**
 * The newest backup is of the copy that was given up, and leads nowhere. What is in place now may be what was damaged:
 * that it cannot be backed up holds up no roll-back, and is said.
 */
export const protectOldCopy = step({
  name: 'Re-protect',
  does: 'A full backup is taken of what is in place again, as far as it can be.',
  when: 'a person rolls back',
  touches: 'production',
  host: ({ host }: OnDatabase) => host,
  async run(at, on: OnDatabase) {
    try {
      return await protect(at, on, `${at.run}-rolled-back`);
    } catch (error) {
      const why = isFailureOf(
        error,
        'CommandFailed',
        'BackupDamaged',
        'BadRequest',
        'LocationUnreachable',
        'ServerFailed',
      );
      if (!why) throw error;
      at.warn(
        `no backup leads to the old copy as it is now, and none could be taken (${why}): lifeboat backup create --full`,
      );
      return { summary: `NOT protected: ${why}` };
    }
  },
  without: () => ({ summary: 'not protected' }),
});

/** `run`: a backup that this one took already is not taken again. */
async function protect(at: At, { database, host }: OnDatabase, run: string): Promise<{ summary: string }> {
  const agent = at.on(host, 'long');
  const archiving = await agent.protect({ database });
  const backup = await agent.takeBackup({ component: database, type: 'full', run });
  at.warn(...backup.failed.map((location) => `the new backup is missing at ${location}`));
  return { summary: `${archiving.summary}; ${backup.summary}` };
}
