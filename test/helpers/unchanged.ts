import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import pg from 'pg';
import { expect } from 'vitest';
import { readPidFile } from '../../lab/cluster.js';
import type { Lab } from '../../lab/lab.js';
import { serviceIsHealthy, timelineOf } from './end-state.js';

/**
 * Nothing was changed: looked at from outside, in the database, beside it, and on a session that an application holds.
 */

const configs = ['pg_hba.conf', 'postgresql.conf', 'postgresql.auto.conf'];

async function print(lab: Lab, session: pg.Client) {
  const { dataDirectory } = lab.primary;
  const digest = (file: string): string =>
    existsSync(join(dataDirectory, file))
      ? createHash('sha256')
          .update(readFileSync(join(dataDirectory, file)))
          .digest('hex')
      : 'none';
  const { rows } = await session.query<{ pid: number; temporary: number }>(
    'SELECT pg_backend_pid() AS pid, x AS temporary FROM held',
  );
  return {
    configs: Object.fromEntries(configs.map((file) => [file, digest(file)])),
    beside: readdirSync(dirname(dataDirectory)).sort(),
    besideIt: readdirSync(dataDirectory).filter((name) => /lifeboat/.test(name)),
    postmaster: readPidFile(dataDirectory)?.pid,
    timeline: await timelineOf(lab.primary),
    session: rows[0],
    healthy: lab.serviceUrl === '' || (await serviceIsHealthy(lab)),
  };
}

/** Takes the fingerprint of a lab now, does something, and demands that it is the same afterwards. */
export async function changesNothing<T>(lab: Lab, work: () => Promise<T>): Promise<T> {
  const session = new pg.Client(lab.primary.appConnection());
  session.on('error', () => undefined);
  await session.connect();
  try {
    await session.query('CREATE TEMPORARY TABLE held AS SELECT 42 AS x');
    const before = await print(lab, session);
    expect(before.healthy, 'the service was healthy before').toBe(true);
    const result = await work();
    expect(await print(lab, session), 'nothing was changed').toEqual(before);
    return result;
  } finally {
    await session.end().catch(() => undefined);
  }
}
