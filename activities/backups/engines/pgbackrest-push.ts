import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { exists } from '../../files.js';
import type { Cluster } from '../../postgres/cluster.js';
import { allOf, home, pgbackrest, writeConfig } from './pgbackrest-config.js';

/**
 * Does `work` while WAL that is ready is pushed to the locations that answer, one segment after the other as they come.
 * A backup waits for its WAL at its own location, and PostgreSQL's archiver, which must wait for the ones that are away
 * as well, would bring it minutes late. Pushing twice changes nothing: pgBackRest finds the same segment there, and the
 * archiver goes on until it is everywhere.
 */
export async function pushingMeanwhile<T>(cluster: Cluster, away: string[], work: () => Promise<T>): Promise<T> {
  if (away.length === 0) return work();
  const locations = allOf(cluster).filter((location) => !away.includes(location));
  const config = await writeConfig(cluster, {
    locations,
    file: join(home(cluster), `${cluster.database}-answering.conf`),
  });
  const over = new AbortController();
  const pushing = push(cluster, config, over.signal);
  try {
    return await work();
  } finally {
    over.abort();
    await pushing;
  }
}

async function push(cluster: Cluster, config: string, over: AbortSignal): Promise<void> {
  const wal = join(cluster.dataDirectory, 'pg_wal');
  const pushed = new Set<string>();
  const isOver = () => over.aborted;
  while (!isOver()) {
    const ready = (await readdir(join(wal, 'archive_status')).catch((): string[] => []))
      .filter((name) => name.endsWith('.ready'))
      .map((name) => name.slice(0, -'.ready'.length))
      .sort();
    for (const name of ready) {
      if (isOver() || pushed.has(name) || !(await exists(join(wal, name)))) continue;
      // What fails here the archiver will bring.
      const done = await pgbackrest(
        cluster,
        ['--no-archive-async', 'archive-push', join(wal, name)],
        { timeout: 300_000 },
        config,
      ).then(
        () => true,
        () => false,
      );
      if (done) pushed.add(name);
    }
    await pause(500, undefined, { signal: over }).catch(() => undefined);
  }
}
