import { appendFile, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { checkpoint } from '../../checkpoint.js';
import { failure } from '../../errors.js';
import { ownFor, removeTree, treeBytes, writeWhole } from '../../files.js';
import { withLocation } from '../../locations/open.js';
import { type Cluster, dataOwner } from '../../postgres/cluster.js';
import { ledger } from '../../postgres/server.js';
import { endLeftoverOf } from '../../run.js';
import type { Target } from '../../../vocabulary/target.js';
import type { EngineRestore } from '../engine.js';
import { restoreCommand } from './wal-g-commands.js';
import { allOf, walg, writeConfig } from './wal-g-config.js';
import { info, parseSentinel, readText, sentinelOf } from './wal-g-store.js';
import { tablespaces } from './wal-g-take.js';

/**
 * Fetches a backup and writes how it is to be recovered, as pgBackRest would. WAL-G fetches into an empty directory
 * only, so an attempt that was killed begins again. Source: wal-g.readthedocs.io/PostgreSQL, backup-fetch; PostgreSQL
 * manual, "Recovering Using a Continuous Archive Backup".
 */
export async function restore(cluster: Cluster, request: EngineRestore): Promise<void> {
  const { label, location, directory } = request;
  const program = ledger(cluster, 'wal-g-backup-fetch', request.incident);
  await endLeftoverOf(program);
  const sentinel = await withLocation(cluster.context, location, async (open) =>
    parseSentinel(await readText(open, sentinelOf(cluster, label))),
  );
  if (sentinel.Spec?.tablespaces?.length) throw tablespaces(sentinel.Spec.tablespaces.join(', '));
  // Only ever in a directory that we made ourselves.
  for (const name of await readdir(directory)) await removeTree(join(directory, name));
  await checkpoint('after emptying the scratch directory');
  const bytes = sentinel.DataCatalogSize ?? sentinel.UncompressedSize;
  const watching = setInterval(() => {
    treeBytes(directory).then(
      (done) => {
        if (done > 0) request.onPercent(Math.min(99, (done * 100) / Math.max(bytes, 1)));
      },
      () => undefined,
    );
  }, 5000);
  try {
    await walg(cluster, location, ['backup-fetch', directory, label], { ledger: program });
  } finally {
    clearInterval(watching);
  }
  // A location that is away would be waited for with each segment, so it is left out.
  const all = allOf(cluster);
  const { unreadable } = await info(cluster, all);
  const locations = all.filter((one) => !(one in unreadable) || one === location);
  await writeConfig(cluster, locations);
  await writeRecovery(cluster, request, restoreCommand(cluster, { locations }));
}

async function writeRecovery(
  cluster: Cluster,
  { directory, target, timeline }: EngineRestore,
  command: string,
): Promise<void> {
  const owner = await dataOwner(cluster);
  const file = join(directory, 'postgresql.auto.conf');
  const before = await readFile(file, 'utf8').catch(() => '');
  // What an earlier recovery left there would be a second target.
  const kept = before
    .split('\n')
    .filter((line) => !/^\s*(restore_command|recovery_target\w*|archive_mode)\s*=/.test(line));
  const settings = {
    restore_command: command,
    recovery_target_timeline: String(timeline),
    archive_mode: 'off',
    ...targetSettings(target),
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name} = '${value.replaceAll("'", "''")}'`);
  await writeWhole(file, `${[kept.join('\n').trimEnd(), ...lines].join('\n')}\n`, {
    owner,
    mode: 0o600,
    what: 'writing the settings of recovery',
  });
  await rm(join(directory, 'standby.signal'), { force: true });
  await appendFile(join(directory, 'recovery.signal'), '');
  await ownFor(join(directory, 'recovery.signal'), owner);
}

/** Exported for the test that reads them. */
function targetSettings(target: Target): Record<string, string> {
  switch (target.kind) {
    case 'latest':
      return {};
    case 'backup':
      return { recovery_target: 'immediate', recovery_target_action: 'pause' };
    case 'time':
      return {
        recovery_target_time: target.iso.replace('T', ' ').replace('Z', '+00'),
        recovery_target_action: 'pause',
      };
    case 'lsn':
      return { recovery_target_lsn: target.lsn, recovery_target_inclusive: 'off', recovery_target_action: 'pause' };
    default:
      throw failure('BadRequest', 'there is no such target', 'lifeboat start --help');
  }
}
