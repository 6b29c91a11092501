import { chmodSync, readFileSync, readdirSync, readlinkSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { checkSession } from '../../../activities/postgres/check-session.js';
import { checkStructure, listCluster } from '../../../activities/postgres/structure.js';
import { beatOnce } from '../../../activities/postgres/canary.js';
import { runQueries } from '../../../activities/postgres/checks.js';
import type { Cluster } from '../../../activities/postgres/cluster.js';
import { one, withClient } from '../../../activities/postgres/connect.js';
import { sourceOf } from '../../../activities/postgres/source.js';
import { run } from '../../../activities/run.js';
import { createLab, type Lab } from '../../../lab/lab.js';
import { databaseUser } from '../../../lab/os-user.js';
import { tool } from '../../../lab/tools.js';
import { until } from '../../../lab/wait.js';
import { type Host, hostOf } from '../../helpers/host.js';

/**
 * What a team may set for its application, and what an attacker who owns a database may. None of it reaches what
 * Lifeboat reads.
 */
const theirs = {
  statement_timeout: '300ms',
  lock_timeout: '200ms',
  idle_in_transaction_session_timeout: '300ms',
  idle_session_timeout: '300ms',
  default_transaction_read_only: 'on',
  default_transaction_isolation: 'serializable',
  DateStyle: 'SQL, DMY',
  IntervalStyle: 'sql_standard',
  TimeZone: 'Asia/Kolkata',
  bytea_output: 'escape',
  extra_float_digits: '0',
  row_security: 'on',
  zero_damaged_pages: 'on',
  ignore_checksum_failure: 'on',
};
const ours = {
  statement_timeout: '1min',
  lock_timeout: '1min',
  idle_in_transaction_session_timeout: '0',
  idle_session_timeout: '0',
  default_transaction_read_only: 'off',
  default_transaction_isolation: 'read committed',
  DateStyle: 'ISO, MDY',
  IntervalStyle: 'postgres',
  TimeZone: 'UTC',
  bytea_output: 'hex',
  extra_float_digits: '1',
  row_security: 'off',
  lc_messages: 'C',
  search_path: 'pg_catalog, pg_temp',
  zero_damaged_pages: 'off',
  ignore_checksum_failure: 'off',
};

describe('sessions of Lifeboat', { timeout: 900_000 }, () => {
  let lab: Lab;
  let host: Host;
  let cluster: Cluster;

  beforeAll(async () => {
    lab = await createLab({
      ...{ temporal: 'none', service: false, fast: true, rows: 200 },
      // Peer authentication needs a process that may be somebody else.
      ...(databaseUser ? { plan: (plan) => void delete plan.databases['main']!.postgres.password } : {}),
    });
    const hba = join(lab.primary.dataDirectory, 'pg_hba.conf');
    if (databaseUser) writeFileSync(hba, readFileSync(hba, 'utf8').replace(/^local.*$/gm, 'local all postgres peer'));
    await lab.primary.restart();
    host = await hostOf(lab);
    ({ cluster } = host);
    const asOwner = (database: string, sql: string) => withClient(cluster, { database }, (client) => client.query(sql));
    await asOwner(
      cluster.plan.name,
      `create schema evil;
       create function evil.pg_is_in_recovery() returns boolean language sql as 'select true';
       create function evil.clock_timestamp() returns timestamptz language sql as $$ select timestamptz '2001-01-01' $$;
       create function public.refuse() returns event_trigger language plpgsql as $$ begin raise exception 'no DDL here'; end $$;
       create event trigger refuse on ddl_command_start execute function public.refuse()`,
    );
    const alter = `alter database ${cluster.plan.name} set`;
    for (const [name, value] of Object.entries(theirs)) await asOwner('postgres', `${alter} ${name} = '${value}'`);
    await asOwner('postgres', `${alter} search_path = evil, public, pg_catalog`);
  }, 900_000);
  afterAll(() => lab.stop());

  const settings = async (client: { query: (sql: string) => Promise<{ rows: { name: string; value: string }[] }> }) => {
    const { rows } = await client.query('select name, current_setting(name) as value from pg_settings');
    const found = new Map(rows.map(({ name, value }) => [name, value]));
    return Object.fromEntries(Object.keys(ours).map((name) => [name, found.get(name)]));
  };

  test('set for themselves what shapes what they read, whatever the server, the database or the role says', async () => {
    expect(await withClient(cluster, {}, settings)).toEqual(ours);
    expect(await withClient(cluster, { statementTimeout: 0, lockTimeout: 5000 }, settings)).toEqual({
      ...ours,
      statement_timeout: '0',
      lock_timeout: '5s',
    });
    const client = await (await sourceOf(host.context, 'main')).connect();
    expect(await settings(client).finally(() => client.end())).toEqual({
      ...ours,
      statement_timeout: '0',
      lock_timeout: '0',
    });
  });

  test('the canary is made and beats where an event trigger refuses DDL and transactions are read-only, by functions of PostgreSQL alone', async () => {
    await withClient(cluster, {}, (client) => client.query('drop schema if exists lifeboat cascade'));
    const canary = await beatOnce(cluster);
    expect(Date.parse(canary!.ts)).toBeGreaterThan(Date.now() - 60_000);
  });

  test('amcheck adds its extension and looks for as long as it takes', async () => {
    const session = checkSession(cluster);
    const { damage, notChecked } = await checkStructure(session, await listCluster(session, 'db1'), 'db1');
    expect({ damage, notChecked }).toEqual({ damage: [], notChecked: [] });
    const installed = await withClient(cluster, {}, (client) =>
      one<string>(client, `select count(*) from pg_extension where extname = 'amcheck'`),
    );
    expect(installed).toBe('1');
  });

  test('programs of PostgreSQL that write are kept neither read-only nor short', async () => {
    const source = await sourceOf(host.context, 'main');
    const asked = [
      'statement_timeout',
      'lock_timeout',
      'default_transaction_read_only',
      'idle_in_transaction_session_timeout',
    ];
    const { stdout } = await run(
      tool('psql'),
      ['-XAtw', '-d', source.name, ...asked.flatMap((name) => ['-c', `show ${name}`])],
      source,
    );
    expect(stdout.split('\n')).toEqual(['0', '0', 'off', '0']);
  });

  test('the plan’s own queries find their tables by the path of their database', async () => {
    const plan = structuredClone(cluster.plan);
    plan.verify.queries = [{ sql: 'select count(*) > 0 from orders', expect: true }];
    await withClient(cluster, {}, async (client) => {
      expect(await runQueries({ plan }, client)).toEqual([]);
      expect(await one<string>(client, 'show search_path')).toBe('pg_catalog, pg_temp');
    });
  });

  describe.runIf(databaseUser)('that the owner of the data opens for an agent that is root', () => {
    const helpers = () =>
      readdirSync('/proc')
        .filter((pid) => /^\d+$/.test(pid))
        .map(Number)
        .filter((pid) => {
          try {
            const status = readFileSync(`/proc/${pid}/status`, 'utf8');
            return (
              status.includes(`\nPPid:\t${process.pid}\n`) &&
              status.includes(`\nUid:\t${databaseUser!.uid}\t`) &&
              readlinkSync(`/proc/${pid}/exe`) === readlinkSync('/proc/self/exe')
            );
          } catch {
            return false;
          }
        });
    const connects = () => withClient(cluster, {}, (client) => one<string>(client, 'select session_user'));

    test('take no rights from the threads of the agent that read files meanwhile', async () => {
      const secret = join(lab.directory, 'for-root-alone');
      writeFileSync(secret, 'x');
      chmodSync(secret, 0o600);
      let connecting = true;
      const refused: unknown[] = [];
      const readers = Array.from({ length: 8 }, async () => {
        while (connecting) await readFile(secret).catch((error: unknown) => refused.push(error));
      });
      for (let left = 100; left > 0; left -= 1) await connects();
      connecting = false;
      await Promise.all(readers);
      expect(refused).toEqual([]);
    });

    test('come again after the process that opens them was killed; one that hangs holds nobody up', async () => {
      await connects();
      const [helper] = helpers();
      process.kill(helper!, 'SIGKILL');
      await until('its end is seen', async () => (await connects().catch(() => '')) === 'postgres');
      const [next] = helpers();
      expect(next).not.toBe(helper);
      process.kill(next!, 'SIGSTOP');
      await expect(connects()).rejects.toThrow('no connection to main');
      expect(await connects()).toBe('postgres');
      expect(helpers(), 'one, and the one that hung is gone').toHaveLength(1);
    });
  });
});
