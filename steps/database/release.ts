import { type OnDatabase, step } from '../step.js';

/** The hold on the data directory ends here: scheduled backups go on although the incident stays open for its tasks. */
export const release = step({
  name: 'Release',
  does: 'The hold on the data directory ends: scheduled backups go on.',
  touches: 'production',
  host: ({ host }: OnDatabase) => host,
  async run(at, { database, host }: OnDatabase) {
    const { summary } = await at.on(host, 'change').release({ database });
    return { summary };
  },
  without: () => ({ summary: 'still held' }),
});
