import { databaseHosts, databaseObjectives, recoverable } from '../plan/access.js';
import { planDigest } from '../plan/digest.js';
import { breakGlass } from './break-glass.js';
import { protectedThings } from './protected.js';
import { scenarioChapter } from './scenario.js';
import { block, code, plain, table } from '../plan/markdown.js';
import { scenarios } from '../scenarios/all.js';
import { postRecoveryTasks } from '../scenarios/tasks.js';
import { scenarioNames } from '../vocabulary/scenario.js';
import type { Plan } from '../plan/schema.js';
import { allSecretReferences } from '../plan/secrets.js';
import { describeCron, planDuration, sentenceList } from '../plan/words.js';

/**
 * The plan as the disaster-recovery document that people read and print. Gives Markdown. `now`: the moment that it is
 * dated with; `path`: the plan file as its readers know it. Holds references to secrets, and no secret. Pure.
 */
export function renderDocument(plan: Plan, { now, path = 'lifeboat.yaml' }: { now: Date; path?: string }): string {
  const lines = [
    `# Disaster recovery of ${plain(plan.system)}`,
    '',
    `Printed ${now.toISOString().slice(0, 16).replace('T', ' ')} UTC from ${code(path)}, plan ${code(planDigest(plan))}. The plan file decides; this is its printed form.`,
    `Print it again after every change (\`lifeboat document --out FILE\`), and keep a copy where a disaster does not reach. Schedules are in ${plain(plan.timezone)}; durations like 15m are 15 minutes.`,
    '',
    ...firstPage(plan),
    ...objectives(plan),
    ...protectedThings(plan),
    ...people(plan),
    ...notified(plan),
    '## Scenarios',
    '',
    ...scenarioNames.flatMap((scenario) => scenarioChapter(plan, scenario)),
    ...afterwards(plan),
    ...drills(plan),
    ...breakGlass(plan, path),
    ...secrets(plan),
  ];
  return `${lines.join('\n').trimEnd()}\n`;
}

function firstPage(plan: Plan): string[] {
  const dumped = Object.keys(plan.databases).filter((name) => !recoverable(plan).includes(name));
  const call = plan.people.onCall.map((person) => contactLine(plan, person));
  return [
    '## If it is happening now',
    '',
    `1. Call: ${call.length > 0 ? call.join('; then ') : 'nobody is named on call in this plan'}.`,
    '2. Find what you see in the table, and type its command on any machine that reaches Lifeboat.',
    '',
    ...table(
      ['You see', 'Scenario', 'Type'],
      scenarioNames.map((name) => [
        scenarios[name].symptoms.map(plain).join('; '),
        plain(scenarios[name].title),
        recoverable(plan)
          .map((database) => code(`lifeboat start ${name} --database ${database}`))
          .join(' or ') || 'it cannot run: the plan takes no physical backups',
      ]),
    ),
    ...(dumped.length > 0
      ? [
          `Of ${plain(sentenceList(dumped))} there are dumps alone: \`lifeboat backup list\`, then \`lifeboat backup restore ID --into NAME\`.`,
          '',
        ]
      : []),
    '3. Type `lifeboat watch` and follow it: it shows each step, and when it needs a person, what to type.',
    '',
    'Not sure? Add `--dry-run`: everything is checked and nothing is changed. Starting twice does no harm: a second caller joins the incident that is open.',
    'If the command cannot reach Lifeboat, go to [If Lifeboat itself is gone](#if-lifeboat-itself-is-gone).',
    '',
  ];
}

function objectives(plan: Plan): string[] {
  const row = (what: string, { rto, rpo }: Plan['objectives']): string[] => [
    what,
    planDuration(rto),
    planDuration(rpo),
  ];
  return [
    '## Objectives',
    '',
    'RTO: how long it may be away, from the declaration of the incident to the verified service. RPO: how much data, in time, may be lost. Every incident and every drill measures both.',
    '',
    ...table(
      ['Component', 'RTO', 'RPO'],
      [
        row('the system', plan.objectives),
        ...Object.entries(plan.databases).map(([name, database]) =>
          row(
            `database ${plain(name)}${database.objectives ? '' : ' (as the system)'}`,
            database.objectives ?? plan.objectives,
          ),
        ),
        ...Object.entries(plan.services).map(([name, { objectives: own, database }]) => [
          `service ${plain(name)}${own ? '' : database === undefined ? ' (as the system)' : ' (as its database)'}`,
          planDuration(own?.rto ?? (database === undefined ? plan.objectives : databaseObjectives(plan, database)).rto),
          'holds no data of its own',
        ]),
        ...(['files', 'redis'] as const).flatMap((kind) =>
          Object.entries<{ objectives?: Plan['objectives'] | undefined }>(plan[kind]).map(
            ([name, { objectives: own }]) =>
              row(`${kind} ${plain(name)}${own ? '' : ' (as the system)'}`, own ?? plan.objectives),
          ),
        ),
      ],
    ),
  ];
}

function people(plan: Plan): string[] {
  const { roles, onCall, contacts, escalateAfter } = plan.people;
  const lines = ['## People', ''];
  if (onCall.length === 0 && Object.keys(roles).length === 0 && Object.keys(contacts).length === 0) {
    return [...lines, 'Nobody is named in this plan. Add `people` to it: at 3 a.m. nobody remembers a number.', ''];
  }
  if (onCall.length > 0) {
    lines.push(
      'On call, in this order:',
      '',
      ...onCall.map((person, at) => `${at + 1}. ${contactLine(plan, person)}`),
      '',
    );
    lines.push(
      escalateAfter === undefined
        ? 'The plan names no time after which the next one is called: call when the one before does not answer.'
        : `Whoever does not answer within ${planDuration(escalateAfter)}: the next one is called.`,
      '',
    );
  }
  lines.push(
    ...table(
      ['Role', 'Who'],
      Object.entries(roles).map(([role, person]) => [plain(roleWords(role)), contactLine(plan, person)]),
    ),
  );
  lines.push(
    ...table(
      ['Contact', 'Name', 'Phone', 'E-mail'],
      Object.entries(contacts).map(([id, { name, phone, email }]) => [
        plain(id),
        plain(name ?? ''),
        plain(phone ?? ''),
        plain(email ?? ''),
      ]),
    ),
  );
  return lines;
}

/** Which channels Lifeboat tells by itself. */
function notified(plan: Plan): string[] {
  const { slack, email, pagerduty } = plan.notifications;
  const rows = [
    ...(slack ? [['Slack', plain(slack.channel), 'everything']] : []),
    ...(email ? [['E-mail', `${plain(email.to.join(', '))}, by ${code(email.host)}`, 'everything']] : []),
    ...(pagerduty ? [['PagerDuty', 'whoever its service calls', 'what is critical']] : []),
  ];
  return [
    '### Who is told by Lifeboat',
    '',
    ...(rows.length > 0
      ? [
          'Of a backup that failed, is late or cannot be verified, of an archive that falls behind the RPO, of a location that is nearly full; and when it is over:',
          '',
          ...table(['Channel', 'Who', 'Of what'], rows),
        ]
      : [
          '**Nobody.** The plan names no channel: a backup that fails is seen only by who looks. Add `notifications` to it.',
          '',
        ]),
  ];
}

function afterwards(plan: Plan): string[] {
  return [
    '## After the recovery',
    '',
    'The incident stays open until these are done, and can be rolled back until it is closed:',
    '',
    ...postRecoveryTasks.map(({ name, text }) => `- [ ] ${text} (${code(name)})`),
    '',
    ...block(
      'lifeboat report   # the timeline, the RTO and RPO really reached, every decision with its name',
      'lifeboat close    # when the tasks are done',
    ),
    `What was damaged lies in quarantine beside the data directory. Nothing removes it by itself; look at the free space of ${plain(sentenceList([...new Set(recoverable(plan).flatMap((name) => databaseHosts(plan, name)))], 'its host'))} before it is needed.`,
    '',
  ];
}

function drills(plan: Plan): string[] {
  const rows = plan.drills.map((drill) => [
    plain(scenarios[drill.scenario].title),
    plain(drill.database ?? Object.keys(plan.databases)[0] ?? ''),
    describeCron(drill.schedule),
  ]);
  const [only] = recoverable(plan);
  return [
    '## Drills',
    '',
    'A drill runs the same steps on a scratch copy and measures the same figures; production goes on.',
    '',
    ...(rows.length > 0
      ? table(['Scenario', 'Database', 'When'], rows)
      : only === undefined
        ? ['No scenario can be drilled without physical backups; test restores of the dumps take their place.', '']
        : ['**No drill is scheduled.** A plan that was never tried is a hope: add `drills` to it.', '']),
    ...(only === undefined
      ? []
      : ['One now:', '', ...block(`lifeboat drill start ${scenarioNames[0]} --database ${only}`)]),
  ];
}

function secrets(plan: Plan): string[] {
  const rows = allSecretReferences(plan).map(({ reference, usedBy }) => [code(reference), code(usedBy)]);
  return [
    '## Secrets that a recovery needs',
    '',
    ...(rows.length > 0
      ? [
          'Each must be readable where it is used, and must be kept a second time outside of this system: without the passphrase, an encrypted backup is lost. None of them is in this document or in the plan.',
          '',
          ...table(['Reference', 'Used by'], rows),
        ]
      : ['The plan refers to none.', '']),
  ];
}

// --- words ---

/** `incidentCommander`: "incident commander". */
const roleWords = (role: string): string =>
  role
    .replace(/([a-z])([A-Z])/g, '$1 $2')
    .replace(/[-_]/g, ' ')
    .toLowerCase();

function contactLine(plan: Plan, person: string): string {
  const contact = Object.hasOwn(plan.people.contacts, person) ? plan.people.contacts[person] : undefined;
  const ways = [contact?.phone, contact?.email].filter((way) => way !== undefined);
  return `**${plain(contact?.name ?? person)}**${ways.length > 0 ? ` (${ways.map(plain).join(', ')})` : ''}`;
}
