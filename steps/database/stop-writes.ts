import { onHost, servicesOf } from '../../plan/access.js';
import { code, plain } from '../../plan/markdown.js';
import { controlCommand, sentenceList } from '../../plan/words.js';
import { resumeEverything } from '../services/resume-service.js';
import { stopServices } from '../services/services.js';
import { type At, type OnDatabase, step } from '../step.js';
import { damagedDirectory, wasPlaced } from './quarantine.js';

/** The database is what must be closed: a service that cannot be stopped is a warning, since it can no longer write. */
export const stopWrites = step({
  name: 'Stop writes',
  does: 'The services that write to the database are stopped, the database is closed to everyone but Lifeboat, its sessions are ended, and a write is tried and must be refused.',
  here(plan, database) {
    const { postgres } = plan.databases[database]!;
    const stops = servicesOf(plan, database).map((name) => {
      const { hosts, control } = plan.services[name]!;
      return `service ${plain(name)} on ${plain(sentenceList(hosts))} (${code(controlCommand(control, 'stop'))})`;
    });
    return `${stops.length > 0 ? `stops ${stops.join(', ')}` : 'no service of the plan writes to it'}; then closes the server on ${plain(postgres.primary)}, port ${onHost(postgres.port, postgres.primary)}.`;
  },
  touches: 'production',
  host: ({ host }: OnDatabase) => host,
  leaves: 'writes stopped',
  async run(at, { database, host }: OnDatabase) {
    const [services, closed] = await Promise.all([stopServices(at), at.on(host, 'change').stopWrites({ database })]);
    at.warn(
      ...services.failed.map((why) => `${why}; it cannot write, since the database is closed`),
      ...closed.warnings,
    );
    return { summary: [...services.stopped, closed.summary, ...closed.proofs].join('; ') };
  },
  attested: (at, { database, host }) => at.on(host, 'change').attestStopped({ database }),
  async settle(at, on, { recovered, resume }) {
    if (!at.real) return [];
    const { database, host } = on;
    const said: string[] = [];
    if (!recovered) {
      // Where one database was put back, no directory was moved, and none is to be told of.
      if (at.state.steps.some(({ name, status }) => name === 'Put the one database back' && status === 'done'))
        at.state.canRollBack = false;
      else said.push(await inPlace(at, on));
      if (resume) said.push(await resumeEverything(at, on));
    }
    said.push(
      await at.orElse(
        async () => (await at.on(host, 'tidy').release({ database })).summary,
        ({ message }) => `the hold on the data directory of ${host} could not be released (${message})`,
      ),
    );
    if (!resume && !recovered && at.writes() === 'stopped')
      said.push('services that were stopped stay stopped: to resume as it stands, lifeboat abort --resume');
    return said;
  },
});

/**
 * What is in place is looked at, and not concluded from how far the scenario came: it may have been ended between two
 * renames.
 */
function inPlace(at: At, { database, host }: OnDatabase): Promise<string> {
  const { state } = at;
  return at.orElse(
    async () => {
      const place = await at.on(host, 'tidy').settlePlace({ database, placed: wasPlaced(state) });
      if (place.quarantine && !state.quarantine.some(({ path }) => path === place.quarantine)) {
        const what = place.inPlace === 'restored' ? damagedDirectory : 'the restored copy, not in use';
        state.quarantine.push({ host: place.host, path: place.quarantine, bytes: place.bytes, what });
      }
      // Something was put in place, and what it replaced is no longer where it was kept: no directory is left to tell
      // by.
      const gone = state.canRollBack && place.quarantine === null;
      state.canRollBack = false;
      return gone ? 'the restored copy is in place; the damaged one is no longer where it was kept' : place.summary;
    },
    ({ message }) =>
      `which directory is in place on ${host} could not be seen: look there before you do anything (${message})`,
  );
}
