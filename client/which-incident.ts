import { Option } from 'commander';

/** Which incident a command is about, in the same words everywhere. */
export const incidentOption = (): Option =>
  new Option('--incident <name>', 'this one, and not the one that is open: its name, from lifeboat incidents');
export const drillOption = (): Option => new Option('--drill', 'the drill that runs, and not the incident');

/** What a printed command says of the incident that was named, so that it works as it stands. */
export const ofIncident = (id: string | undefined): string => (id === undefined ? '' : ` --incident ${id}`);
