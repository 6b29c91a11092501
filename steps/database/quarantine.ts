import type { IncidentState } from '../../vocabulary/incident.js';

/** What is kept of a database that was replaced, as it is called: it tells later what there is to go back to. */

export const damagedDirectory = 'the damaged data directory';
export const setAsideDatabase = 'the old database, renamed aside in the server';

/**
 * What this incident put in place, and takes back in a roll-back, is one database, and not the whole data directory.
 */
export const isOneDatabase = ({ quarantine }: IncidentState): boolean =>
  quarantine.some(({ what }) => what === setAsideDatabase);

/** A data directory was put in place by this incident, whatever became of it since. */
export const wasPlaced = ({ quarantine }: IncidentState): boolean =>
  quarantine.some(({ what }) => what === damagedDirectory);
