import type { Candidate } from '../../activities/backups/candidates.js';
import { placeOf } from '../../plan/access.js';
import { code, plain } from '../../plan/markdown.js';
import { sentenceList } from '../../plan/words.js';
import { type OnDatabase, step } from '../step.js';
import { anotherTarget } from './another-target.js';
import { askStandbys, type StandbysAsked } from './standby-wal.js';

/** What a restore can begin with, best first, and the WAL that standbys have for it. */
export interface Sources extends OnDatabase {
  candidates: Candidate[];
  standbys: StandbysAsked;
}

export const chooseBackup = step({
  name: 'Choose the backup',
  does: 'The backups that can reach the target are listed, newest first, each location in the order of the plan.',
  when: 'a repair is not enough, or a target was given',
  here(plan, database) {
    const locations = plan.databases[database]!.backups.physical?.locations ?? [];
    return `looks in ${sentenceList(locations.map((location) => `${plain(location)} (${code(placeOf(plan.locations[location]!))})`))}.`;
  },
  touches: 'nothing',
  host: ({ host }: OnDatabase) => host,
  async run(at, { database, host }: OnDatabase) {
    const standbys = await askStandbys(at, database);
    const known = standbys.has.length > 0 ? { standbys: standbys.has } : {};
    const listed = await at.on(host, 'look').listCandidates({ database, target: at.state.target, ...known });
    return { ...listed, standbys };
  },
  choices: [anotherTarget],
});
