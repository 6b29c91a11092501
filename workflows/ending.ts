import type { Choice } from '../vocabulary/question.js';
import type { IncidentState } from '../vocabulary/incident.js';

/** How an incident leaves everything when a person ends it now: from what was stopped and resumed so far. Pure. */

const stops = ['Stop writes', 'Stop the service again'];
const resumes = ['Resume the service', 'Resume on the old copy'];

/** `stopped` also while it is being stopped: what of it was done is not undone by an end. */
function writes({ steps }: IncidentState): 'as before' | 'stopped' | 'resumed' {
  const last = steps.findLast(
    ({ name, status }) => stops.includes(name) || (resumes.includes(name) && (status === 'done' || status === 'by hand')),
  );
  if (!last) return 'as before';
  return stops.includes(last.name) ? 'stopped' : 'resumed';
}

/** Services and database do not run until somebody resumes them. */
export const staysStopped = (state: IncidentState): boolean => state.mode === 'real' && writes(state) === 'stopped';

/** Where nothing is resumed. */
export function leftAs(state: IncidentState): string {
  if (state.mode !== 'real') return 'production is not touched';
  return { 'as before': 'nothing was changed', stopped: 'writes stay stopped', resumed: 'the service goes on as it stands' }[writes(state)];
}

export const abortChoice = (state: IncidentState): Choice => ({
  name: 'abort',
  meaning: `end the incident; ${leftAs(state)}${staysStopped(state) ? ' unless you say --resume' : ''}`,
  needs: ['reason'],
});

/** What this incident put in place, and takes back in a roll-back, is one database, and not the whole data directory. */
export const isOneDatabase = ({ quarantine }: IncidentState): boolean => quarantine.some(({ what }) => what === setAsideDatabase);

export const damagedDirectory = 'the damaged data directory';
export const setAsideDatabase = 'the old database, renamed aside in the server';

export const rollBackChoice = (state: IncidentState): Choice => ({
  name: 'roll-back',
  meaning: isOneDatabase(state)
    ? 'give the old database its name back, and resume on it'
    : 'put the quarantined copy back and resume on it',
  needs: ['reason'],
});
