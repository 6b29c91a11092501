import { dumpByHand, othersByHand, physicalByHand } from './by-hand.js';
import { block, code } from '../plan/markdown.js';
import type { Plan } from '../plan/schema.js';
import { allSecretReferences } from '../plan/secrets.js';
import { sentenceList } from '../plan/words.js';

/**
 * The last page of the printed document: what to do when the control plane is gone, and when no Lifeboat can be had at
 * all. Gives lines of Markdown. Pure.
 */
export function breakGlass(plan: Plan, path: string): string[] {
  const variables = [...new Set(allSecretReferences(plan).map(({ reference }) => reference))];
  return [
    '## If Lifeboat itself is gone',
    '',
    'Any laptop or any surviving host can be Lifeboat. It needs this plan file, Node, the secrets below, and a way to the hosts and to one location of backups.',
    '',
    '1. Install Lifeboat as its README says.',
    `2. Put a copy of the plan file there as ${code(path)}. It is kept in: ______________________ (write it here by hand: another place than the system itself)`,
    `3. Provide the secrets: ${variables.length > 0 ? variables.map(code).join(', ') : 'the plan refers to none'}. They are kept in: ______________________`,
    '4. Type:',
    '',
    ...block(
      'lifeboat check     # the plan is whole',
      'lifeboat up        # Temporal, control worker and the agent of this machine, in one process',
      'lifeboat doctor    # in a second terminal: what works and what does not',
    ),
    '5. The agents of the surviving hosts must find this machine: where each runs, set `TEMPORAL_ADDRESS` to its address and port, and start it again.',
    '6. Then start the scenario, as above. The backups need nothing of the machine that is gone.',
    '',
    '### If no Lifeboat can be started anywhere',
    '',
    `Each backup was made by a tool that restores it without Lifeboat: ${tools(plan)}. Restore beside the old data, never over it.`,
    '',
    ...Object.entries(plan.databases).flatMap(([name, { backups }]) => [
      ...(backups.physical ? physicalByHand(plan, name, backups.physical) : []),
      ...dumpByHand(plan, name),
    ]),
    ...othersByHand(plan),
  ];
}

/** What must be installed to restore by hand. */
function tools(plan: Plan): string {
  const databases = Object.values(plan.databases).map(({ backups }) => backups);
  const engines = new Set(databases.flatMap(({ physical }) => physical?.engine ?? []));
  const encrypted = [...databases.map(({ logical }) => logical), ...Object.values(plan.code)].some((each) =>
    each?.locations.some((name) => plan.locations[name]!.encryption),
  );
  return sentenceList([
    'PostgreSQL of the same major version',
    ...(engines.has('pgbackrest') ? ['pgBackRest'] : []),
    ...(engines.has('wal-g') ? ['wal-g'] : []),
    ...(databases.some(({ logical }) => logical?.compression) ? ['zstd'] : []),
    ...(encrypted ? ['age'] : []),
    ...(Object.keys({ ...plan.files, ...plan.redis }).length > 0 ? ['restic'] : []),
    ...(Object.keys(plan.code).length > 0 ? ['git'] : []),
  ]);
}
