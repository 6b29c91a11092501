import { onHost, servicesOf, placeOf } from './access.js';
import { block, code, plain, table } from './markdown.js';
import type { Plan } from './schema.js';
import { allSecretReferences } from './secrets.js';
import { sentenceList } from './words.js';

/** The last page of the printed document: what to do when the control plane is gone, and when no Lifeboat can be had at all. Gives lines of Markdown. Pure. */
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
    'The backups are plain pgBackRest repositories. Any host with PostgreSQL of the same major version and pgBackRest can restore them. Restore beside the old data directory, never over it.',
    '',
    ...Object.keys(plan.databases).flatMap((database) => byHand(plan, database)),
  ];
}

function byHand(plan: Plan, database: string): string[] {
  const { postgres, backups, name, verify } = plan.databases[database]!;
  const copy = `${onHost(postgres.dataDirectory!, postgres.primary)}.restored-by-hand`;
  const stanza = `${plan.system}-${database}`;
  const stop = servicesOf(plan, database).map((service) => `${service} on ${sentenceList(plan.services[service]!.hosts)}`);
  const [first] = backups.physical!.locations;
  const location = plan.locations[first!]!;
  const counted = Object.keys(verify.rows);
  return [
    `Database ${plain(database)}:`,
    '',
    `1. Stop ${plain(sentenceList(stop, 'everything that writes to it'))}, then the server on ${plain(postgres.primary)}.`,
    `2. As the user that owns the data, with mode 600, write ${code('by-hand.conf')}:`,
    '',
    '   ```ini',
    '   [global]',
    `   repo1-path=${location.directory}`,
    ...(location.encryption
      ? ['   repo1-cipher-type=aes-256-cbc', `   repo1-cipher-pass=(the passphrase that ${location.encryption} stands for)`]
      : []),
    `   [${stanza}]`,
    `   pg1-path=${copy}`,
    '   ```',
    '',
    ...table(
      ['Location', 'repo1-path', 'Passphrase'],
      backups.physical!.locations.map((each) => [
        plain(each),
        code(placeOf(plan.locations[each]!)),
        plan.locations[each]!.encryption ? code(plan.locations[each]!.encryption) : 'none',
      ]),
    ),
    '3. As the same user (for a moment in the past, add `--type=time --target="YYYY-MM-DD HH:MM:SS+00" --target-action=promote` to the restore):',
    '',
    ...block(
      `pgbackrest --config=$PWD/by-hand.conf --stanza=${stanza} info`,
      `mkdir -m 700 ${copy}`,
      `pgbackrest --config=$PWD/by-hand.conf --stanza=${stanza} --archive-mode=off restore`,
      `pg_ctl -D ${copy} -o "-p 5499" -w -t 3600 start${postgres.configFile ? `   # if it has no postgresql.conf, copy the files beside ${postgres.configFile}` : ''}`,
      ...(counted.length > 0
        ? counted.map((each) => `psql -p 5499 -d ${name} -c 'select count(*) from ${each}'`)
        : [`psql -p 5499 -d ${name} -c 'select now()'   # and count what must be there`]),
    ),
    '4. Only when the figures are right: stop both servers, rename the old data directory aside, rename the copy into its place, start the server, then the services. Take a new full backup.',
    '',
  ];
}
