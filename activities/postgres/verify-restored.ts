import { type Capability, progress } from '../capability.js';
import type { HostContext } from '../context.js';
import { failure } from '../errors.js';
import { run } from '../run.js';
import type { RowCheck } from '../../workflows/state.js';
import { parseTarget } from '../../plan/target.js';
import { demandRestored } from '../backups/restored-mark.js';
import { repositoryInfo } from '../backups/engines.js';
import { amcheck } from './amcheck.js';
import { readCanary } from './canary.js';
import { compareRows, countRows, readCatalog, runQueries } from './checks.js';
import { bin, clusterOf, type Cluster, controlData, dataOwner } from './cluster.js';
import { mendCollation } from './collation.js';
import { one, withClient } from './connect.js';
import { type EvidenceFile, keepEvidence } from './evidence.js';
import { type KnownRows, knownRowsAt } from './known-rows.js';
import { scratchOf, scratchSettings, type Scratch } from './scratch.js';
import { launch, ledger, postmasterPid, stopServer, untilReady } from './server.js';
import { zeroPages } from './zero-pages.js';

export interface VerifyInput {
  database: string;
  incident: string;
  target: string;
  declaredAt: string;
}
export interface Verification {
  summary: string;
  rows: RowCheck[];
  /** Declared moment less the restored canary, in seconds; null when there is no canary. */
  rpoSeconds: number | null;
  /** What the plan's own rows and queries find wrong: a person decides, since only a person knows what was deleted on purpose. */
  doubts: string[];
  /** What could not be checked, or was mended. */
  warnings: string[];
  checks: string[];
  files: EvidenceFile[];
}

/**
 * Verifies a restored copy before it takes over, and leaves it cleanly stopped. Throws VerificationFailed with everything that is physically wrong;
 * what the plan's rows and queries find is for the person who approves.
 * Source: field-notes, "Verify a restored copy".
 */
export const verifyRestored = (context: HostContext): Capability<VerifyInput, Verification> => ({
  rehearse: () =>
    Promise.resolve({ summary: 'verified after the restore', rows: [], rpoSeconds: null, doubts: [], warnings: [], checks: [], files: [] }),

  execute: (input) => verifyCopy(clusterOf(context, input.database), input),
});

/** The same, for a copy wherever it was restored. */
export async function verifyCopy(cluster: Cluster, { database, incident, target: text, declaredAt }: VerifyInput): Promise<Verification> {
  const scratch = scratchOf(cluster, incident);
  const target = parseTarget(text);
  const { recoveredTo } = await demandRestored(scratch, incident);
  await startCopy(cluster, scratch);
  const wrong: string[] = [];
  const doubts: string[] = [];
  const warnings: string[] = [];
  const checks: string[] = [];
  const session = { socketDirectory: scratch.socketDirectory, statementTimeout: 0 };

  progress({ what: 'collation versions' });
  const databases = await withClient(cluster, session, (client) =>
    client.query<{ name: string }>('select datname as name from pg_database where datallowconn order by 1'),
  );
  for (const { name } of databases.rows) {
    const mended = await withClient(cluster, { ...session, database: name }, (client) => mendCollation(client, name));
    if (mended) warnings.push(mended);
  }
  progress({ what: 'pg_amcheck' });
  const checked = await amcheck(cluster, { socketDirectory: scratch.socketDirectory, directory: scratch.directory, install: true });
  wrong.push(...checked.damage.map((one) => `${one.relation || 'cluster'}: ${one.says}`));
  checks.push('pg_amcheck: heap and indexes of every database');

  progress({ what: 'catalog, rows and queries' });
  // Rows are compared with what they were at the moment that was recovered to, not with what came after it.
  const moment = new Date(target.kind === 'time' ? target.iso : target.kind === 'latest' ? declaredAt : (recoveredTo ?? declaredAt));
  const known = await knownRowsBefore(cluster, moment);
  const looked = await withClient(cluster, session, async (client) => {
    wrong.push(...(await readCatalog(client)));
    const { counts, errors } = await countRows(cluster, client);
    doubts.push(...(await runQueries(cluster, client)));
    const heap = await client.query<{ file: string }>(
      `select pg_relation_filenode(c.oid)::text as file from pg_class c where relkind in ('r', 'm', 't') and pg_relation_filenode(c.oid) is not null
           and relpersistence = 'p' and reltablespace = 0`,
    );
    return {
      rows: compareRows(cluster, counts, known?.counts),
      errors,
      canary: await readCanary(client),
      oid: (await one<number>(client, 'select oid from pg_database where datname = current_database()'))!,
      heap: new Set(heap.rows.map((row) => row.file)),
    };
  });
  for (const { table, found, expected } of looked.rows.filter(({ ok }) => !ok)) {
    const error = looked.errors[table];
    if (error && !/does not exist|statement timeout/.test(error)) wrong.push(`${table}: ${error}`);
    else doubts.push(error ? `${table}: ${error}` : `${table} has ${found} rows, ${expected} were last known`);
  }
  for (const row of looked.rows.filter(({ expected }) => expected === null))
    warnings.push(`no earlier row count of ${row.table} is known: ${row.found} rows cannot be judged`);
  checks.push(`${looked.rows.length} row counts, ${cluster.plan.verify.queries.length} queries, the catalog`);
  if (!looked.canary) warnings.push('there is no canary in the copy: the RPO cannot be measured');

  await stopServer(cluster, scratch.directory);
  wrong.push(...(await checksums(cluster, scratch, warnings, checks)));
  const holes = await zeroPages(scratch.directory, looked.oid, looked.heap);
  wrong.push(...holes);
  checks.push('no zero pages inside a table');

  const file = await keepEvidence(
    cluster.context,
    incident,
    `${database}-restored-amcheck.txt`,
    [...checked.output, '', ...wrong, ...doubts].join('\n'),
  );
  if (wrong.length > 0) {
    throw failure(
      'VerificationFailed',
      `the restored copy is not sound: ${wrong.slice(0, 5).join('; ')}`,
      'The next backup is tried; all findings are in the evidence.',
      { findings: wrong.slice(0, 20) },
    );
  }
  const rpoSeconds = looked.canary ? Math.max(0, (Date.parse(declaredAt) - Date.parse(looked.canary.ts)) / 1000) : null;
  return {
    summary: `sound: ${checks.join(', ')}${looked.canary ? `; canary of ${looked.canary.ts}` : ''}`,
    rows: looked.rows,
    rpoSeconds,
    doubts,
    warnings,
    checks,
    files: [file],
  };
}

/** Starts the copy of an incident, unless it runs. Throws ServerFailed. */
export async function startCopy(cluster: Cluster, scratch: Scratch): Promise<void> {
  if (!(await postmasterPid(scratch.directory))) {
    await launch(cluster, { directory: scratch.directory, settings: await scratchSettings(cluster, scratch), log: scratch.log });
  }
  const session = { socketDirectory: scratch.socketDirectory, database: 'postgres' };
  await untilReady(cluster, { directory: scratch.directory, log: scratch.log, seconds: 600, what: 'starting the copy' }, () =>
    withClient(cluster, session, async (client) => ((await one<boolean>(client, 'select pg_is_in_recovery()')) ? undefined : true)).catch(
      () => undefined,
    ),
  );
}

async function checksums(cluster: Cluster, scratch: Scratch, warnings: string[], checks: string[]): Promise<string[]> {
  if (!(await controlData(cluster, scratch.directory)).checksums) {
    warnings.push('data checksums are off: damaged pages may go unnoticed');
    return [];
  }
  progress({ what: 'pg_checksums' });
  const result = await run(await bin(cluster, 'pg_checksums', scratch.directory), ['--check', '--progress', '-D', scratch.directory], {
    owner: await dataOwner(cluster),
    accept: [1],
    ledger: ledger(cluster, 'pg_checksums'),
  });
  checks.push('pg_checksums');
  if (result.code === 0) return [];
  const failures = result.lines.filter((line) => /checksum verification failed|error/i.test(line)).slice(0, 10);
  return failures.length > 0 ? failures : [`pg_checksums ended with code ${result.code}`];
}

/** From this host's own notes; else from what the newest backup before that moment was annotated with. */
async function knownRowsBefore(cluster: Cluster, moment: Date): Promise<KnownRows | undefined> {
  const here = await knownRowsAt(cluster, moment);
  if (here) return here;
  const { backups } = await repositoryInfo(cluster);
  for (const backup of backups) {
    const note = backup.annotations['lifeboat-rows'];
    if (note && backup.startedAt * 1000 <= moment.getTime())
      return { at: new Date(backup.startedAt * 1000).toISOString(), counts: JSON.parse(note) as KnownRows['counts'] };
  }
  return undefined;
}
