import { code, plain, table } from '../plan/markdown.js';
import type { Keep, Plan } from '../plan/schema.js';
import { describeCron, keepWords, planDuration, sentenceList } from '../plan/words.js';

/**
 * The part of the printed document that says what is backed up, how, when, how long it is kept, and how it is tried.
 * Gives lines of Markdown. Pure.
 */
export function backups(plan: Plan): string[] {
  return ['### Backups', '', ...physical(plan), ...others(plan), ...tried(plan)];
}

function physical(plan: Plan): string[] {
  const rows = Object.entries(plan.databases).flatMap(([name, database]) => {
    const of = database.backups.physical;
    if (!of) return [];
    const kept = [
      `${of.keep.full} full backups, and what is based on them`,
      ...(of.keep.daily || of.keep.monthly
        ? [`of full ones also ${keepWords({ daily: of.keep.daily, monthly: of.keep.monthly })}`]
        : []),
      ...(of.keep.incremental ? [`differential and incremental ones for ${planDuration(of.keep.incremental)}`] : []),
    ];
    return [
      [
        plain(name),
        schedule(of.full),
        schedule(of.differential),
        schedule(of.incremental),
        kept.join('; '),
        plain(of.locations.join(', ')),
        of.engine === 'wal-g' ? 'WAL-G' : 'pgBackRest',
      ],
    ];
  });
  return rows.length === 0
    ? []
    : [
        'Of whole database servers, so that any moment can be restored:',
        '',
        ...table(
          ['Database', 'Full', 'Differential', 'Incremental', 'Kept', 'Locations, in the order of preference', 'With'],
          rows,
        ),
        'Between backups, PostgreSQL archives its WAL to the same locations all the time, so that any moment in between can be restored. `lifeboat backup list` shows what is there.',
        '',
      ];
}

interface Kept {
  locations: string[];
  schedule?: string | undefined;
  keep: Keep;
}

function others(plan: Plan): string[] {
  const row = (what: string, host: string, { schedule: when, keep, locations }: Kept, how: string): string[] => [
    what,
    plain(host),
    schedule(when),
    keepWords(keep),
    plain(locations.join(', ')),
    how,
  ];
  const rows = [
    ...Object.entries(plan.databases).flatMap(
      ([
        name,
        {
          postgres,
          backups: { logical },
        },
      ]) =>
        logical
          ? [
              row(
                `dump of ${plain(name)}`,
                postgres.primary,
                logical,
                `pg_dump, custom format, ${logical.compression ? 'compressed' : 'not compressed'}`,
              ),
            ]
          : [],
    ),
    ...Object.entries(plan.files).map(([name, each]) =>
      row(
        `files ${plain(name)}`,
        each.host,
        each,
        `restic: ${each.paths.map(code).join(', ')}${each.exclude.length > 0 ? `; without ${each.exclude.map(code).join(', ')}` : ''}`,
      ),
    ),
    ...Object.entries(plan.redis).map(([name, each]) =>
      row(`Redis ${plain(name)}`, each.host, each, `a snapshot of the server on port ${each.port}, then restic`),
    ),
    ...Object.entries(plan.code).map(([name, each]) =>
      row(
        `code ${plain(name)}`,
        each.host,
        each,
        `a Git bundle of each: ${Object.entries(each.repositories)
          .map(([repository, from]) => `${plain(repository)} (${code(from)})`)
          .join(', ')}`,
      ),
    ),
  ];
  return rows.length === 0
    ? []
    : [
        'Of single things, as they are at one moment:',
        '',
        ...table(['What', 'Host', 'When', 'Kept', 'Locations', 'How'], rows),
      ];
}

/** A backup that was never restored is a hope. */
function tried(plan: Plan): string[] {
  const rows = Object.entries(plan.databases).flatMap(
    ([
      name,
      {
        backups: { verification, restoreTest },
      },
    ]) => [
      ...(verification
        ? [
            [
              plain(name),
              'verification: the newest backup is restored to scratch and verified',
              plain(verification.host),
              schedule(verification.schedule),
            ],
          ]
        : []),
      ...(restoreTest
        ? [
            [
              plain(name),
              'restore test: a whole restore to staging, from each location in turn',
              plain(restoreTest.host),
              schedule(restoreTest.schedule),
            ],
          ]
        : []),
    ],
  );
  const without = Object.keys(plan.databases).filter((name) => {
    const { verification, restoreTest } = plan.databases[name]!.backups;
    return !verification && !restoreTest;
  });
  return [
    'Every backup is read back when it was taken. Besides, they are restored to prove that they can be:',
    '',
    ...table(['Database', 'What', 'On', 'When'], rows),
    ...(without.length > 0
      ? [
          `**No restore of ${plain(sentenceList(without))} is tried by the clock.** Add \`verification\` to its backups.`,
          '',
        ]
      : []),
  ];
}

const schedule = (cron: string | undefined): string => (cron === undefined ? 'not scheduled' : describeCron(cron));
