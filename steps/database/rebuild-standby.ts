import { plain } from '../../plan/markdown.js';
import { sentenceList } from '../../plan/words.js';
import { type OnDatabase, step } from '../step.js';

export const rebuildStandby = step({
  name: 'Rebuild standby',
  does: 'Each standby is looked at: it follows the database as it is now, or is rebuilt from it, and streams.',
  when: 'there are standbys',
  here(plan, database) {
    const { standbys } = plan.databases[database]!.postgres;
    return standbys.length > 0 ? `rebuilds the standby on ${plain(sentenceList(standbys))}.` : 'there is no standby.';
  },
  touches: 'production',
  host: ({ host }: OnDatabase) => host,
  async run(at, { database, host }: OnDatabase) {
    const {
      summary,
      quarantine: path,
      bytes,
      host: on,
    } = await at.on(host, 'long').rebuildStandby({ database, primary: at.plan.primary });
    if (path) at.state.quarantine.push({ host: on, path, bytes, what: 'the standby of the damaged database' });
    return { summary };
  },
  without: ({ host }) => ({ summary: `${host} does not protect anything until it is rebuilt` }),
});
