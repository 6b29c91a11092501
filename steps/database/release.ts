import { isOneDatabase } from './quarantine.js';
import { type At, type OnDatabase, step } from '../step.js';

/** The hold on the data directory ends here: scheduled backups go on although the incident stays open for its tasks. */
export const release = step({
  name: 'Release',
  does: 'The hold on the data directory ends: scheduled backups go on.',
  touches: 'production',
  host: ({ host }: OnDatabase) => host,
  run: (at, on: OnDatabase) => released(at, on),
  without: () => ({ summary: 'still held' }),
});

/** The last step of a roll-back. */
export const releaseOldCopy = step({
  name: 'Release',
  does: 'The hold on the data directory ends: scheduled backups go on.',
  when: 'a person rolls back',
  touches: 'production',
  host: ({ host }: OnDatabase) => host,
  async run(at, on: OnDatabase) {
    const done = await released(at, on);
    remindOfStandbys(at);
    return done;
  },
  without: () => ({ summary: '' }),
});

async function released(at: At, { database, host }: OnDatabase): Promise<{ summary: string }> {
  const { summary } = await at.on(host, 'change').release({ database });
  return { summary };
}

function remindOfStandbys(at: At): void {
  if (!isOneDatabase(at.state)) at.warn('the standbys followed the restored copy: rebuild them when you know which copy stays');
}
