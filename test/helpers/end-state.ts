import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, readlinkSync, realpathSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { expect, vi } from 'vitest';
import { type Cluster, isStreaming } from '../../lab/cluster.js';
import { configurationOf } from '../../lab/debian.js';
import type { Lab } from '../../lab/lab.js';
import { isAlive, processes, signal, startOf } from '../../lab/processes.js';
import { tables } from '../../lab/shop.js';
import { socketDirectory } from '../../activities/socket-directory.js';
import { until } from '../../lab/wait.js';
import { quarantineDirectory } from '../../vocabulary/names.js';
import type { IncidentState } from '../../vocabulary/incident.js';
import { lifeboatOf, stateOf } from './incident.js';

/**
 * What an incident must leave behind, looked at from outside: in the databases, on disk, among the processes, and in
 * the reports.
 */

/** Every row of every table in one digest; what two databases with the same contents have in common. */
export async function contents(cluster: Cluster): Promise<string> {
  const hash = createHash('sha256');
  for (const table of tables) {
    const [row] = await cluster.sql<{ digest: string; n: string }>(
      `SELECT count(*)::text AS n, coalesce(md5(string_agg(t::text, '|' ORDER BY t.id)), '') AS digest FROM ${table} t`,
    );
    hash.update(`${table} ${row!.n} ${row!.digest}\n`);
  }
  return hash.digest('hex');
}

export async function orderIds(cluster: Cluster): Promise<Set<number>> {
  return new Set((await cluster.sql<{ id: number }>('SELECT id::int AS id FROM orders')).map(({ id }) => id));
}

export async function timelineOf(cluster: Cluster): Promise<number> {
  await cluster.sql('CHECKPOINT');
  const [row] = await cluster.sql<{ timeline: number }>('SELECT timeline_id AS timeline FROM pg_control_checkpoint()');
  return row!.timeline;
}

/**
 * The server's own clock, with its microseconds: a target that separates what was committed before from what comes
 * after.
 */
export async function moment(cluster: Cluster): Promise<string> {
  const [row] = await cluster.sql<{ at: string }>(
    `SELECT to_char(clock_timestamp(), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS at`,
  );
  return row!.at;
}

/** Waits until the canary has beaten after now: a target in between then has a commit behind it. */
export async function canaryBeats(cluster: Cluster): Promise<void> {
  const now = await moment(cluster);
  await until(
    'the canary beats',
    async () => (await cluster.sql('SELECT 1 FROM lifeboat.canary WHERE ts > $1::timestamptz', [now])).length > 0,
  );
}

/** A moment with a beat of the canary before it and another one after it. */
export async function quietMoment(cluster: Cluster): Promise<string> {
  const at = await moment(cluster);
  await canaryBeats(cluster);
  return at;
}

export async function serviceIsHealthy(lab: Lab): Promise<boolean> {
  const response = await fetch(`${lab.serviceUrl}/health`).catch(() => undefined);
  await response?.arrayBuffer();
  return response?.ok === true && response.headers.get('x-system-status') !== 'degraded';
}

export const isFenced = (cluster: Cluster): boolean =>
  existsSync(
    join(cluster.debian ? configurationOf(cluster.debian) : cluster.dataDirectory, 'pg_hba.conf.lifeboat-open'),
  );
export const claimOf = (cluster: Cluster): string =>
  join(dirname(cluster.dataDirectory), `.lifeboat-claim-${basename(cluster.dataDirectory)}`);

/** Directories beside the data directory, by what they are. */
export function beside(cluster: Cluster): { restored: string[]; quarantine: string[]; replaced: string[] } {
  const names = readdirSync(dirname(cluster.dataDirectory)).filter((name) =>
    name.startsWith(`${basename(cluster.dataDirectory)}.`),
  );
  const of = (kind: string): string[] =>
    names.filter((name) => name.includes(`.${kind}-`)).map((name) => join(dirname(cluster.dataDirectory), name));
  return { restored: of('restored'), quarantine: of('quarantine'), replaced: of('replaced') };
}

/** Programs of PostgreSQL and pgBackRest that run somewhere else than in the data directories where they belong. */
export function strays(lab: Lab): string[] {
  const homes = [lab.primary, lab.standby].flatMap((cluster) =>
    cluster && existsSync(cluster.dataDirectory) ? [realpathSync(cluster.dataDirectory)] : [],
  );
  return processes().flatMap(({ pid, command }) => {
    try {
      const program = basename(readlinkSync(`/proc/${pid}/exe`));
      const cwd = readlinkSync(`/proc/${pid}/cwd`);
      const ours = cwd.startsWith(`${lab.directory}/`) || command.includes(`${lab.directory}/`);
      if (!ours || !/^(postgres|pg_\w+|pgbackrest|psql)$/.test(program) || homes.includes(cwd)) return [];
      return [`${pid} ${program} in ${cwd}: ${command.slice(0, 200)}`];
    } catch {
      return [];
    }
  });
}

/**
 * Waits for a program that runs for the lab and stops it in its tracks (SIGSTOP, with everything in its group), so that
 * it is caught half-way.
 */
export async function caught(
  lab: Lab,
  command: RegExp,
  mentions = lab.directory,
): Promise<{ pid: number; isAlive(): boolean }> {
  const { pid } = await until(
    `${String(command)} runs`,
    () => processes().find((one) => one.command.includes(mentions) && command.test(one.command.trim())),
    120,
    2,
  );
  signal(-pid, 'SIGSTOP');
  const start = startOf(pid);
  return { pid, isAlive: () => isAlive(pid, start) };
}

/** Where the server of an incident's scratch copy listens. */
const scratchSocket = (lab: Lab, incident: string): string =>
  socketDirectory(join(lab.directory, 'state', lab.system, 'db1'), `${lab.primary.dataDirectory} ${incident}`);

/** Nothing of Lifeboat is left beside the database: no copy, no socket, no ledger of a running program, no program. */
export async function expectNothingBeside(lab: Lab, { copyKept = false } = {}): Promise<void> {
  if (!copyKept) expect(beside(lab.primary).restored, 'scratch copies').toEqual([]);
  const ledgers = join(lab.directory, 'state', lab.system, 'db1', 'running');
  expect(existsSync(ledgers) ? readdirSync(ledgers) : [], 'ledgers of running programs').toEqual([]);
  const incidents = await (await lifeboatOf(lab)).incidents();
  const sockets = incidents.map(({ id }) => scratchSocket(lab, id)).filter((path) => !copyKept && existsSync(path));
  expect(sockets, 'socket directories of scratch copies').toEqual([]);
  // WAL that is being archived this very moment is none of it.
  await until('no program runs beside the databases', () => strays(lab).length === 0).catch(() =>
    expect(strays(lab)).toEqual([]),
  );
}

/**
 * The service works, the database takes writes, nothing holds or closes it, its standby streams on its timeline, and a
 * new full backup is listed.
 */
export async function expectInService(lab: Lab, timeline?: number): Promise<void> {
  const { primary, standby } = lab;
  expect(existsSync(claimOf(primary)), 'the claim is released').toBe(false);
  expect(isFenced(primary), 'the fence is lifted').toBe(false);
  expect(await serviceIsHealthy(lab), 'the service is healthy').toBe(true);
  const placed = await fetch(`${lab.serviceUrl}/orders`, { method: 'POST' });
  expect(placed.status, 'an order can be placed').toBe(201);
  if (timeline !== undefined) expect(await timelineOf(primary)).toBe(timeline);
  if (!standby) return;
  await until('the standby streams', () => isStreaming(primary, standby.host));
  const { id } = (await placed.json()) as { id: number };
  await until(
    'the order is on the standby',
    async () => (await standby.sql('SELECT 1 FROM orders WHERE id = $1', [id])).length > 0,
  );
}

/** A full backup that was taken after the incident was declared, at every location, on this timeline. */
export async function expectNewBackup(lab: Lab, state: IncidentState, timeline: number): Promise<void> {
  const { backups } = await (await lifeboatOf(lab)).backups.list('main');
  for (const location of Object.keys(lab.locations)) {
    const newest = backups.find((backup) => backup.location === location);
    expect(newest, `a backup at ${location}`).toMatchObject({ type: 'full' });
    expect(Date.parse(newest!.timestamp), `the backup at ${location} is new`).toBeGreaterThan(
      Date.parse(state.declaredAt) - 1000,
    );
    expect(parseInt(newest!.wal!.start.slice(0, 8), 16), 'its timeline').toBe(timeline);
  }
}

/** What was damaged lies aside, listed in the incident, closed, and nothing runs in it. Returns where. */
export function expectQuarantined(
  lab: Lab,
  state: Pick<IncidentState, 'id' | 'quarantine'>,
  cluster: Cluster = lab.primary,
): string {
  const path = quarantineDirectory(cluster.dataDirectory, state.id);
  expect(state.quarantine.map((one) => one.path)).toContain(path);
  expect(state.quarantine.find((one) => one.path === path)!.bytes).toBeGreaterThan(1_000_000);
  expect(existsSync(join(path, 'PG_VERSION')), `${path} is a data directory`).toBe(true);
  if (cluster === lab.primary)
    expect(existsSync(join(path, 'pg_hba.conf.lifeboat-open')), 'the quarantined copy is still closed').toBe(true);
  return path;
}

/**
 * The reports of an incident on disk. They exist, and say what its state says: they are written again just after its
 * phase has changed.
 */
export async function expectReports(
  lab: Lab,
  state: IncidentState,
): Promise<{ md: string; json: Record<string, unknown>; html: string }> {
  const path = join(lab.directory, 'state', lab.system, 'reports', state.id);
  const read = (kind: string): string => readFileSync(`${path}.${kind}`, 'utf8');
  const parsed = () => JSON.parse(read('json')) as { incident: IncidentState };
  const said = ({ report: _report, ...rest }: IncidentState) => rest;
  // Its state as it is now: the one given may have been asked for a moment before its last change.
  const now = async () => {
    const found = await stateOf(lab, state.mode).catch(() => state);
    return said(found.id === state.id ? found : state);
  };
  await vi.waitFor(
    async () => expect(said(parsed().incident), 'the JSON report is the state of the incident').toEqual(await now()),
    {
      timeout: 900_000,
      interval: 200,
    },
  );
  const [md, html, json] = [read('md'), read('html'), parsed()];
  for (const text of [md, html]) {
    expect(text).toContain(state.id);
    for (const { path: kept } of state.quarantine) expect(text).toContain(kept);
    for (const { name } of state.steps) expect(text).toContain(name);
  }
  expect(html, 'the page needs nothing from elsewhere').not.toMatch(/<(script|link|img)[^>]+(src|href)=["']?http/);
  return { md, json, html };
}

/** The first page of the file of a relation, to see that a quarantined copy is what was damaged. */
export async function fileOf(cluster: Cluster, relation: string): Promise<string> {
  const [found] = await cluster.sql<{ path: string }>('SELECT pg_relation_filepath($1::regclass) AS path', [relation]);
  return found!.path;
}
export const firstPage = (directory: string, path: string): string =>
  createHash('sha256')
    .update(readFileSync(join(directory, path)).subarray(0, 8192))
    .digest('hex');
