import { protocol } from '../../vocabulary/names.js';
import { isFailureOf, StepFailed } from '../failure.js';
import { resumeEverything } from '../services/resume-service.js';
import { type At, type OnDatabase, step } from '../step.js';
import { askStandbys, type StandbyWal } from './standby-wal.js';

export const checkRequest = step({
  name: 'Check the request',
  does: 'The database, the target, a backup that fits it and the free space are checked. What cannot work is refused here, before anything is stopped.',
  touches: 'nothing',
  host: ({ host }: OnDatabase) => host,
  refuses: true,
  async run(at, on: OnDatabase) {
    const { database, host } = on;
    const { target } = at.request;
    const check = (standbys?: StandbyWal[]) =>
      at
        .on(host, 'look')
        .checkRequest({ database, ...(target ? { target } : {}), ...(standbys ? { standbys } : {}), protocol });
    const checked = await check().catch(async (error: unknown) => {
      // A hole in the archive is none where a standby has that segment.
      const { has } =
        isFailureOf(error, 'NoBackup') && at.plan.standbys.length > 0 ? await askStandbys(at, database) : { has: [] };
      if (has.length === 0) throw error;
      return check(has);
    });
    demandSameProtocol(at, host, checked.protocol);
    at.warn(...checked.warnings);
    if (checked.planDigest !== at.state.planDigest)
      at.warn(`the agent of ${host} has plan ${checked.planDigest}, the control worker ${at.state.planDigest}`);
    return checked;
  },
  /**
   * An earlier incident may have left the database closed: it is opened for who asks for it, although this one stopped
   * nothing.
   */
  async settle(at, on, { resume, recovered }) {
    if (!at.real || !resume || recovered || at.state.steps.some(({ name }) => name === 'Stop writes')) return [];
    return [await resumeEverything(at, on)];
  },
});

/**
 * Throws ToolMissing when the agent of a host is of a version that this one does not understand. `theirs`: as the agent
 * said it; an old one does not.
 */
function demandSameProtocol(at: At, host: string, theirs = 0): void {
  if (!at.since('protocol') || theirs === protocol) return;
  const older = theirs < protocol;
  throw new StepFailed(
    'ToolMissing',
    `the agent of ${host} runs ${older ? 'an older' : 'a newer'} Lifeboat than the control worker, and they would not understand each other`,
    older
      ? `Install the version of the control worker on ${host} and start its agent again: lifeboat agent --host ${host}`
      : 'Install the version of that agent where the control worker runs and start it again: lifeboat worker',
  );
}
