import { join } from 'node:path';
import { failure } from '../../errors.js';
import { progress } from '../../capability.js';
import type { Cluster } from '../../postgres/cluster.js';
import { ledger } from '../../postgres/server.js';
import type { Engine, EngineRestore, EngineTake, FetchFrom } from '../engine.js';
import {
  allOf,
  archiveCommand,
  home,
  pgbackrest,
  repo,
  repoNumber,
  restoreCommand,
  version,
  writeConfig,
} from './pgbackrest-config.js';
import { info } from './pgbackrest-info.js';
import { pushingMeanwhile } from './pgbackrest-push.js';
import { prepare } from './pgbackrest-stanza.js';
import { readBack, verify } from './pgbackrest-verify.js';

const types = { full: 'full', differential: 'diff', incremental: 'incr' } as const;

export const pgBackRest: Engine = {
  name: 'pgbackrest',
  tools: async (cluster) => ({ pgbackrest: await version(cluster) }),
  compression: () => 'zstd',
  encryption: (cluster, location) => (cluster.context.plan.locations[location]!.encryption ? 'pgbackrest' : 'none'),
  prepare,
  writeConfig: async (cluster) => void (await writeConfig(cluster)),
  archiveCommand,
  restoreCommand,
  // Of another place of its configuration, it is still ours; of another stanza, it is somebody else's pgBackRest.
  isOurs: (cluster, command) => command.endsWith(` --stanza=${cluster.stanza} archive-push %p`),
  info,
  take,
  readBack,
  verify,
  restore,
  isDamage,
  archived,
  fetch,
  remove,
  expireWal,
  check,
};

/** pgBackRest's own check asks every location of its configuration, and one that is away would fail it for all. */
async function check(cluster: Cluster): Promise<Record<string, string>> {
  const all = allOf(cluster);
  const { unreadable } = await info(cluster, all);
  const locations = all.filter((location) => !(location in unreadable));
  if (locations.length === 0)
    throw failure(
      'LocationUnreachable',
      `no location can be read: ${Object.values(unreadable).join('; ')}`,
      'Are they mounted? Are their credentials there?',
    );
  const file = locations.length < all.length ? { file: join(home(cluster), `${cluster.database}-check.conf`) } : {};
  const config = await writeConfig(cluster, { locations, ...file });
  await pgbackrest(
    cluster,
    ['--archive-timeout=120', 'check'],
    { ledger: ledger(cluster, 'pgbackrest-check') },
    config,
  );
  return unreadable;
}

function take(cluster: Cluster, request: EngineTake): Promise<void> {
  return pushingMeanwhile(cluster, request.away, () => takeNow(cluster, request));
}

async function takeNow(cluster: Cluster, { type, run, location, rows }: EngineTake): Promise<void> {
  await pgbackrest(
    cluster,
    [
      await repo(cluster, location),
      `--type=${types[type]}`,
      `--annotation=lifeboat-run=${run}`,
      ...(rows ? [`--annotation=lifeboat-rows=${JSON.stringify(rows)}`] : []),
      // pgBackRest would expire older backups before anybody has looked whether this one is sound.
      '--no-expire-auto',
      // While another location is away, WAL arrives at this one late.
      '--archive-timeout=300',
      '--log-level-console=detail',
      'backup',
    ],
    {
      ledger: ledger(cluster, 'pgbackrest-backup'),
      onLine: (line) => {
        const percent = / backup file .*, ([\d.]+)%\)/.exec(line)?.[1];
        if (percent) progress({ what: `${type} backup at ${location}`, percent: Number(percent) });
      },
    },
  );
}

/** The command of pgBackRest for a target. Exported for the test that reads it. */
export async function restoreArguments(
  cluster: Cluster,
  request: Omit<EngineRestore, 'resumed' | 'onPercent' | 'incident'>,
): Promise<string[]> {
  const { target, directory, label, location, timeline } = request;
  const kind = {
    latest: () => ['--type=default'],
    backup: () => ['--type=immediate', '--target-action=pause'],
    time: () => [
      '--type=time',
      `--target=${(target as { iso: string }).iso.replace('T', ' ').replace('Z', '+00')}`,
      '--target-action=pause',
    ],
    lsn: () => [
      '--type=lsn',
      `--target=${(target as { lsn: string }).lsn}`,
      '--target-exclusive',
      '--target-action=pause',
    ],
  }[target.kind]();
  return [
    `--pg1-path=${directory}`,
    await repo(cluster, location),
    `--set=${label}`,
    ...kind,
    // pgBackRest takes --target-timeline for no type "immediate"; PostgreSQL would follow the newest timeline there is,
    // which may be a stray one.
    target.kind === 'backup'
      ? `--recovery-option=recovery_target_timeline=${timeline}`
      : `--target-timeline=${timeline}`,
    '--archive-mode=off',
    // Once more at once, and not again after 15 s: a file that is damaged stays so, and the next backup waits.
    '--job-retry=1',
    `--tablespace-map-all=${directory}.tablespaces`,
    '--log-level-console=detail',
    'restore',
  ];
}

async function restore(cluster: Cluster, request: EngineRestore): Promise<void> {
  // Recovery asks for WAL by the same configuration. A location that is away would be waited for with each segment, so
  // it is left out of it.
  const all = allOf(cluster);
  const { unreadable } = await info(cluster, all);
  const locations = all.filter((location) => !(location in unreadable) || location === request.location);
  const config = await writeConfig(cluster, {
    locations,
    ...(locations.length < all.length
      ? { file: join(home(cluster), `${cluster.database}-restore-${request.incident}.conf`) }
      : {}),
  });
  await pgbackrest(
    cluster,
    // --delta only ever on a directory that we made ourselves.
    [...(request.resumed ? ['--delta', '--force'] : []), ...(await restoreArguments(cluster, request))],
    {
      ledger: ledger(cluster, 'pgbackrest-restore', request.incident),
      onLine: (line) => {
        const percent = Number(/ restore file .*, ([\d.]+)%\)/.exec(line)?.[1]);
        if (percent > 0) request.onPercent(percent);
      },
    },
    config,
  );
}

/**
 * Only what pgBackRest itself calls damaged: a checksum (26), a format (29), a read (42), a missing file (55), a
 * decryption (95). A full disk, a network that is away or a process that was ended say nothing about the backup.
 */
function isDamage({ code, message }: { code?: number | undefined; message: string }): boolean {
  return (
    [26, 29, 42, 55, 95].includes(code ?? 0) ||
    /checksum|does not match|decompress|corrupt|unexpected eof/i.test(message)
  );
}

async function archived(cluster: Cluster, location: string): ReturnType<Engine['archived']> {
  const listed = await pgbackrest(cluster, [
    await repo(cluster, location),
    '--recurse',
    '--output=json',
    '--log-level-console=off',
    'repo-ls',
    `archive/${cluster.stanza}`,
  ]);
  const found = JSON.parse(listed.stdout || '{}') as Record<string, { size?: number }>;
  const paths = Object.keys(found);
  return {
    bytes: Object.values(found).reduce((sum, { size = 0 }) => sum + size, 0),
    segments: paths
      .map((path) => /\/([0-9A-F]{24})-[0-9a-f]{40}/.exec(path)?.[1])
      .filter((segment) => segment !== undefined),
    histories: paths
      .map((path) => /([0-9A-F]{8})\.history/.exec(path)?.[1])
      .filter((history) => history !== undefined)
      .map((history) => parseInt(history, 16)),
  };
}

async function fetch(
  cluster: Cluster,
  name: string,
  path: string,
  { location, directory }: FetchFrom = {},
): Promise<boolean> {
  const from = [
    ...(location ? [await repo(cluster, location)] : []),
    ...(directory ? [`--pg1-path=${directory}`] : []),
  ];
  const got = await pgbackrest(cluster, [...from, '--log-level-console=off', 'archive-get', name, path], {
    accept: [1],
  }).catch(() => undefined);
  return got?.code === 0;
}

async function remove(cluster: Cluster, location: string, labels: string[]): Promise<void> {
  const { backups, unreadable } = await info(cluster, [location]);
  if (unreadable[location] !== undefined)
    throw failure(
      'LocationUnreachable',
      `${location} cannot be read: ${unreadable[location]}`,
      'Try again when it answers.',
    );
  const there = backups
    .filter(({ label }) => labels.includes(label))
    .sort((a, b) => b.stoppedAt - a.stoppedAt || b.label.localeCompare(a.label));
  // Of WAL nothing goes with it: pgBackRest would do that by the names of segments, which are in no order after a
  // roll-back.
  const option = `repo${repoNumber(cluster, location)}-retention`;
  const keepWal = [`--${option}-full-type=time`, `--reset-${option}-archive`];
  // The newest first: an older one would take those that are based on it along.
  for (const { label } of there)
    await pgbackrest(cluster, [await repo(cluster, location), ...keepWal, `--set=${label}`, 'expire'], {
      ledger: ledger(cluster, 'pgbackrest-expire'),
    });
}

async function expireWal(cluster: Cluster, location: string): Promise<void> {
  await pgbackrest(cluster, [await repo(cluster, location), 'expire'], {
    ledger: ledger(cluster, 'pgbackrest-expire'),
  });
}
