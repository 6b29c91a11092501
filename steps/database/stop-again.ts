import type { ComponentRecord, Measured } from '../../vocabulary/component.js';
import { formatDuration } from '../../vocabulary/units.js';
import { stopServices } from '../services/services.js';
import { type At, type OnDatabase, step } from '../step.js';
import { demandOwn, figuresOf } from './copy-figures.js';

/** The first step of a roll-back. */
export const stopAgain = step({
  name: 'Stop the service again',
  does: 'What is in place is compared with what the incident put there, the services are stopped and the database is closed, and what it holds is counted.',
  when: 'a person rolls back',
  touches: 'production',
  host: ({ host }: OnDatabase) => host,
  leaves: 'writes stopped',
  async run(at, on: OnDatabase) {
    // It may have been restored in the moment before this one took the lock.
    demandOwn(at, await figuresOf(at, on, false));
    const { stopped, failed } = await stopServices(at);
    const closed = await at.on(on.host, 'change').stopWrites({ database: on.database });
    // Nobody writes to it any more, and it is not moved yet.
    at.state.putAside = await figuresOf(at, on, true);
    notAchieved(at);
    return { summary: [...stopped, ...failed, closed.summary].join('; ') };
  },
});

/** What does not last was not achieved. */
function notAchieved({ state }: At): void {
  for (const component of state.components) component.measured = taken(component);
}

function taken({ kind, measured: { rtoSeconds } }: ComponentRecord): Measured {
  const reached = rtoSeconds === null ? '' : `; the service had been verified after ${formatDuration(rtoSeconds)}`;
  return {
    rtoSeconds: null,
    rtoNote: `the recovery was rolled back${reached}`,
    rpoSeconds: null,
    ...(kind === 'database'
      ? { rpoNote: 'the recovery was rolled back; what stays behind in its copy stands under what was lost' }
      : {}),
  };
}
