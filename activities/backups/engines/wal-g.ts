import { rm } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { cancelled, progress } from '../../capability.js';
import { failure } from '../../errors.js';
import type { Cluster } from '../../postgres/cluster.js';
import { one, withClient } from '../../postgres/connect.js';
import { ledger } from '../../postgres/server.js';
import type { Engine, FetchFrom } from '../engine.js';
import { archiveCommand, isOurs, restoreCommand } from './wal-g-commands.js';
import { allOf, version, walg, writeConfig } from './wal-g-config.js';
import { prepare } from './wal-g-prepare.js';
import { restore } from './wal-g-restore.js';
import { archived, info } from './wal-g-store.js';
import { take } from './wal-g-take.js';
import { isDamage, readBack, verify } from './wal-g-verify.js';

export const walG: Engine = {
  name: 'wal-g',
  tools: async (cluster) => ({ 'wal-g': await version(cluster) }),
  compression: () => 'zstd',
  encryption: (cluster, location) => (cluster.context.plan.locations[location]!.encryption ? 'wal-g' : 'none'),
  prepare,
  writeConfig: (cluster) => writeConfig(cluster),
  archiveCommand,
  restoreCommand: (cluster) => restoreCommand(cluster),
  isOurs,
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

async function fetch(cluster: Cluster, name: string, path: string, from: FetchFrom = {}): Promise<boolean> {
  for (const location of from.location ? [from.location] : allOf(cluster)) {
    // What an earlier location broke off in the middle; WAL-G writes no file that is there.
    await rm(path, { force: true });
    const env = { WALG_DOWNLOAD_CONCURRENCY: '1' };
    const got = await walg(cluster, location, ['wal-fetch', name, path], {
      env,
      accept: [1, 74],
      timeout: 120_000,
    }).catch(() => undefined);
    if (got?.code === 0) return true;
  }
  return false;
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
  // The newest first: an older one would take those that are based on it along.
  for (const { label } of there)
    await walg(cluster, location, ['delete', 'target', label, '--confirm'], {
      ledger: ledger(cluster, 'wal-g-delete'),
    });
}

/** WAL older than the oldest backup, and what killed attempts before it have left: WAL-G keeps all WAL since then. */
async function expireWal(cluster: Cluster, location: string): Promise<void> {
  await walg(cluster, location, ['delete', 'garbage', '--confirm'], { ledger: ledger(cluster, 'wal-g-delete') });
}

async function check(cluster: Cluster): Promise<Record<string, string>> {
  const { unreadable: away } = await info(cluster, allOf(cluster));
  const locations = allOf(cluster).filter((location) => !(location in away));
  if (locations.length === 0)
    throw failure(
      'LocationUnreachable',
      `no location can be read: ${Object.values(away).join('; ')}`,
      'Are they mounted? Are their credentials there?',
    );
  const segment = await withClient(cluster, { database: 'postgres' }, (client) =>
    one<string>(
      client,
      `select pg_walfile_name(pg_switch_wal()) from pg_logical_emit_message(true, 'lifeboat', 'so that there is something to switch')`,
    ),
  );
  const until = Date.now() + 120_000;
  for (let left = locations; ;) {
    const still: string[] = [];
    for (const location of left)
      if (!(await archived(cluster, location)).segments.includes(segment ?? '')) still.push(location);
    left = still;
    if (left.length === 0) return away;
    if (Date.now() > until)
      throw failure(
        'CommandFailed',
        `WAL segment ${segment ?? ''} did not arrive at ${left.join(', ')} within 120 s`,
        'Read the log of the server: it says why archiving fails.',
      );
    progress({ what: `waiting for ${segment ?? 'a WAL segment'} to arrive at ${left.join(', ')}` });
    await pause(500, undefined, { signal: cancelled() });
  }
}
