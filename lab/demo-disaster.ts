import { join } from 'node:path';
import { dropTable, overwritePages } from './damage.js';
import type { Lab } from './lab.js';
import { ask, type Monitor } from './monitor.js';
import { runAsDatabaseUser } from './os-user.js';
import { pageSize } from './page.js';
import type { Telling } from './narrator.js';
import { tool } from './tools.js';
import { until } from './wait.js';

/**
 * The demo's disaster: pages of one table overwritten, another table dropped, and how on-call finds the moment before.
 */

export interface Disaster {
  /** The last moment at which the service was well, in UTC. */
  target: string;
  /** Customers who registered after the damage: a recovery to the target does without them. */
  lostCustomers: number;
}

export async function destroyData(lab: Lab, tell: Telling, monitor: Monitor): Promise<Disaster> {
  tell.phase('The disaster');
  tell.say(
    'First a disk goes bad: pages in the file of the table "orders" are overwritten with garbage. (The server is stopped for that moment; ' +
      'a running one would go on answering from memory, and notice later.)',
  );
  const blocks = await someBlocks(lab, 'orders');
  await tell.doing(
    'overwriting pages in the file',
    () => overwritePages(lab.primary, 'orders', blocks),
    () => `${blocks.length} pages of 8 kB are garbage: blocks ${blocks.join(', ')} of "orders"`,
  );
  tell.say(
    `Then somebody who tries to help drops the wrong table.${lab.standby ? ' The standby repeats it faithfully: a standby is no backup.' : ''}`,
  );
  const start = await position(lab);
  await dropTable(lab.primary, 'payments');
  const end = await position(lab);
  tell.fact(`DROP TABLE payments: done, on db1${lab.standby ? ' and db2' : ''}`);
  const lostCustomers = 3;
  await lab.primary.asApp(
    `INSERT INTO customers (name, email) SELECT 'late ' || n, 'late' || n || '@example.com' FROM generate_series(1, $1::int) n`,
    [lostCustomers],
  );
  tell.fact(`${lostCustomers} customers still register after that. Watch what becomes of them`);

  const bad = await until('the monitor sees the damage', () => monitor.firstBad());
  const target = monitor.lastGood()!.toISOString();
  tell.phase('Which moment to go back to');
  tell.say('How on-call finds it. The monitor asks the service four times a second:');
  tell.fact(`last good answer   ${target}`);
  tell.bad(`first bad answer   ${bad.at.toISOString()}: ${bad.says}`);
  tell.say(
    'And the database writes down every commit, so pg_waldump finds the one that dropped a table ("rels" are files that it removed):',
  );
  tell.copy('', await dropInTheLog(lab, start, end));
  tell.say(`The last good answer is before both. So the moment to go back to is ${target}`);
  return { target, lostCustomers };
}

/** Proves the damage as everybody meets it. True when all of it shows. */
export async function failingQueries(lab: Lab, tell: Telling): Promise<boolean> {
  tell.phase('Proof that it is broken');
  const queries = ['SELECT sum(total) FROM orders', 'SELECT count(*) FROM payments'];
  let failing = 0;
  for (const sql of queries) {
    const error = await lab.primary.asApp(sql).then(
      () => undefined,
      (thrown: unknown) => (thrown as Error).message,
    );
    if (error === undefined) tell.fact(`${sql}: answers`);
    else {
      failing += 1;
      tell.bad(`${sql}: ERROR: ${error}`);
    }
  }
  const health = await ask(`${lab.serviceUrl}/health`);
  if (!health.ok) tell.bad(`GET /health: ${health.says}`);
  return failing === queries.length && !health.ok;
}

/** The first, the middle and the last pages: nobody can read the newest order, nor all of them. */
async function someBlocks(lab: Lab, table: string): Promise<number[]> {
  const [size] = await lab.primary.sql<{ bytes: number }>('SELECT pg_relation_size($1::regclass)::int AS bytes', [
    table,
  ]);
  const last = size!.bytes / pageSize - 1;
  return [...new Set([0, 1, Math.floor(last / 2), Math.max(0, last - 1), last])];
}

async function position(lab: Lab): Promise<string> {
  const [row] = await lab.primary.sql<{ lsn: string }>('SELECT pg_current_wal_flush_lsn()::text AS lsn');
  return row!.lsn;
}

/** The commit that removed files, as pg_waldump shows it. */
async function dropInTheLog(lab: Lab, start: string, end: string): Promise<string> {
  const out = await runAsDatabaseUser(
    tool('pg_waldump'),
    ['--rmgr=Transaction', `--path=${join(lab.primary.dataDirectory, 'pg_wal')}`, `--start=${start}`, `--end=${end}`],
    lab.primary.directory,
    { TZ: 'UTC' },
  );
  const commit = /tx: +\d+.*(COMMIT [^;]*); rels: ([^;]*)/.exec(out);
  if (!commit) return '(no commit that removed a file was found)';
  const [first, ...others] = commit[2]!.trim().split(/ +/);
  return `${commit[1]!}; rels: ${first!}${others.length > 0 ? ` and ${others.length} more` : ''}`;
}
