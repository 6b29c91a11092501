import { type Capability, progress } from '../capability.js';
import type { HostContext } from '../context.js';
import { failure } from '../errors.js';
import { run, tail } from '../run.js';
import type { RowCheck } from '../../vocabulary/component.js';
import type { PreparedInCopy } from '../../vocabulary/incident.js';
import { parseTarget } from '../../vocabulary/target.js';
import { cleanerTarget } from '../backups/cleaner-target.js';
import { demandRestored } from '../backups/restored-mark.js';
import { repositoryInfo } from '../backups/engines.js';
import { readCanary } from '../postgres/canary.js';
import { checkSession } from '../postgres/check-session.js';
import { askQueries, compareRows, countRows, readCatalog } from '../postgres/checks.js';
import { bin, clusterOf, type Cluster, controlData, dataOwner } from '../postgres/cluster.js';
import { mendCollation } from '../postgres/collation.js';
import { one, withClient } from '../postgres/connect.js';
import { bringProduction } from './differences.js';
import { type EvidenceFile, keepEvidence } from '../postgres/evidence.js';
import { countByIndex } from '../postgres/index-count.js';
import { type KnownRows, knownRowsAt } from '../postgres/known-rows.js';
import { describePrepared, preparedTransactions } from '../postgres/prepared.js';
import { proving } from '../postgres/proof.js';
import { proveStart } from '../postgres/prove-start.js';
import { checkFiles } from '../postgres/relation-files.js';
import { databasesOf } from '../postgres/relations.js';
import { scratchOf, scratchSettings, type Scratch } from '../postgres/scratch.js';
import { launch, ledger, postmasterPid, stopServer, untilReady } from '../postgres/server.js';
import { cannotLook, isMissing, isNoDatabase, judge } from '../postgres/sqlstate.js';
import { byRelation, checkStructure, describeDamage, listCluster, type Listed } from '../postgres/structure.js';

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
  /**
   * What the plan's own rows and queries find wrong: a person decides, since only a person knows what was deleted on
   * purpose.
   */
  doubts: string[];
  /** What was committed and is known to be missing, where the WAL ended too early. */
  missing?: string[];
  /**
   * What is different from production as it was, and is not of the data: configuration, slots, places. For the person
   * who approves.
   */
  differences: string[];
  /** Why it does not start with production's own configuration. */
  doesNotStart?: string;
  /** What could not be checked, or was fixed. */
  warnings: string[];
  checks: string[];
  /** Transactions that the copy holds prepared: a person decides what becomes of them. */
  prepared?: PreparedInCopy[];
  files: EvidenceFile[];
}

/**
 * Verifies a restored copy before it takes over, and leaves it cleanly stopped. Throws VerificationFailed with
 * everything that is physically wrong; what the plan's rows and queries find is for the person who approves.
 * Source: field-notes, "Verify a restored copy".
 */
export const verifyRestored = (context: HostContext): Capability<VerifyInput, Verification> => ({
  rehearse: () =>
    Promise.resolve({
      ...{ summary: 'verified after the restore', rows: [], rpoSeconds: null, doubts: [], differences: [] },
      ...{ warnings: [], checks: [], files: [] },
    }),

  execute: (input) => {
    const cluster = clusterOf(context, input.database);
    return proving(cluster, () => verifyCopy(cluster, input), { doubt: ({ doesNotStart }) => doesNotStart });
  },
});

/** The same, for a copy wherever it was restored. */
export async function verifyCopy(
  cluster: Cluster,
  { database, incident, target: text, declaredAt }: VerifyInput,
): Promise<Verification> {
  const scratch = scratchOf(cluster, incident);
  const target = parseTarget(text);
  const { recoveredTo, short } = await demandRestored(scratch, incident);
  await startCopy(cluster, scratch);
  const wrong: string[] = [];
  const doubts: string[] = short ? [short] : [];
  const warnings: string[] = [];
  const checks: string[] = [];
  const session = checkSession(cluster, { socketDirectory: scratch.socketDirectory });

  const { host } = cluster.context;
  const { name: home } = cluster.plan;
  const prepared = (await session('postgres', preparedTransactions)).map((one) => ({
    ...one,
    says: describePrepared(one),
  }));
  progress({ what: 'collation versions' });
  for (const { name } of (await session('postgres', databasesOf)).open) {
    // Judged below, where it is looked into.
    const mended = await session(name, (client) => mendCollation(client, name)).catch((error: unknown) => {
      const seen = judge(`the collation of ${name}`, error, host);
      doubts.push(
        `collation versions of ${name} may differ from this host, and its indexes were not rebuilt: ${Object.values(seen).join('')}`,
      );
      return undefined;
    });
    if (mended) warnings.push(mended);
  }
  progress({ what: 'amcheck' });
  const listed = await listCluster(session, host);
  const structure = await checkStructure(session, listed, host);
  const counted = await countByIndex(session, listed.databases, [...listed.damage, ...structure.damage], host);
  wrong.push(
    ...byRelation([...listed.damage, ...structure.damage, ...counted.damage]).map((one) => describeDamage(one, home)),
  );
  doubts.push(...counted.gone.map((one) => describeDamage(one, home)));
  doubts.push(
    ...[...listed.notChecked, ...structure.notChecked, ...counted.notChecked].map((line) => `not checked: ${line}`),
  );
  warnings.push(...listed.limits);
  checks.push('amcheck: heap and indexes of every database');

  progress({ what: 'catalog, rows and queries' });
  // Rows are compared with what they were at the moment that was recovered to, not with what came after it.
  const moment = new Date(
    target.kind === 'time' ? target.iso : target.kind === 'latest' ? declaredAt : (recoveredTo ?? declaredAt),
  );
  const known = await knownRowsBefore(cluster, moment);
  const looked = await session(home, async (client) => {
    wrong.push(...(await readCatalog(client)));
    const { counts, errors } = await countRows(cluster, client);
    const queries = await askQueries(cluster, client);
    doubts.push(...queries.wrong);
    return {
      rows: compareRows(cluster, counts, known?.counts),
      errors,
      failed: queries.failed,
      canary: await readCanary(client),
    };
  }).catch((error: unknown) => {
    // One that is not there was dropped before the target.
    const seen = isNoDatabase(error) ? undefined : judge(`database ${home}`, error, host);
    if (!seen) doubts.push(`there is no database ${home}`);
    else if ('damage' in seen) wrong.push(`database ${home}: ${seen.damage}`);
    else doubts.push(`not checked: database ${home}: ${seen.notChecked}`);
    return { rows: [], errors: {}, failed: [], canary: undefined };
  });
  const sort = (what: string, error: unknown) => {
    const seen = isMissing(error) ? { missing: (error as Error).message } : judge(what, error, host);
    if ('damage' in seen) wrong.push(`${what}: ${seen.damage}`);
    else doubts.push('missing' in seen ? `${what}: ${seen.missing}` : `not checked: ${what}: ${seen.notChecked}`);
  };
  for (const { says, error } of looked.failed) sort(says, error);
  for (const { table, found, expected } of looked.rows.filter(({ ok }) => !ok)) {
    if (table in looked.errors) sort(table, (looked.errors as Record<string, unknown>)[table]);
    else doubts.push(`${table} has ${found} rows, ${expected} were last known`);
  }
  for (const row of looked.rows.filter(({ expected }) => expected === null))
    warnings.push(`no earlier row count of ${row.table} is known: ${row.found} rows cannot be judged`);
  warnings.push(...emptied(listed, home, known?.counts ?? {}));
  checks.push(`${looked.rows.length} row counts, ${cluster.plan.verify.queries.length} queries, the catalog`);
  if (!looked.canary) warnings.push('there is no canary in the copy: the RPO cannot be measured');

  await stopServer(cluster, scratch.directory);
  // Checksums are PostgreSQL's own program's to compare; here it is what that does not look at.
  const files = await checkFiles(scratch.directory, listed.databases, { ...listed.layout, checksums: false });
  wrong.push(...byRelation(files.damage).map((one) => describeDamage(one, home)));
  for (const one of files.suspect) {
    if (one.kind !== 'index' && one.what === 'zero pages') wrong.push(one.says);
    else doubts.push(describeDamage(one, home));
  }
  wrong.push(...(await checksums(cluster, scratch, checks)));
  checks.push('headers and lengths of all files, no zero pages inside a table');

  const file = await keepEvidence(
    cluster.context,
    incident,
    `${database}-restored-amcheck.txt`,
    [...checks, '', ...wrong, ...doubts, ...prepared.map(({ says }) => says), '', ...warnings].join('\n'),
  );
  if (wrong.length > 0) {
    const earlier = await cleanerTarget(cluster, incident).catch(() => undefined);
    throw failure(
      'VerificationFailed',
      `the restored copy is not sound: ${wrong.slice(0, 5).join('; ')}`,
      `All findings are in the evidence. Where other backups show the same, the damage is in the WAL, and an earlier moment may be clean${earlier ? `: ${earlier}` : ': lifeboat decide restore --to TIME'}`,
      { findings: wrong.slice(0, 20) },
    );
  }
  const { differences, doesNotStart } = await asProduction(cluster, scratch, checks);
  if (doesNotStart) doubts.push(`it does not start with production's own configuration: ${doesNotStart}`);
  const rpoSeconds = looked.canary ? Math.max(0, (Date.parse(declaredAt) - Date.parse(looked.canary.ts)) / 1000) : null;
  return {
    summary: `sound: ${checks.join(', ')}${looked.canary ? `; canary of ${looked.canary.ts}` : ''}`,
    rows: looked.rows,
    rpoSeconds,
    doubts,
    ...(short ? { missing: [short] } : {}),
    differences,
    ...(doesNotStart === undefined ? {} : { doesNotStart }),
    warnings,
    checks,
    ...(prepared.length > 0 ? { prepared } : {}),
    files: [file],
  };
}

/**
 * What it will be in production's place: with today's configuration, and started with it once. A test of a location is
 * of its backup alone.
 */
async function asProduction(
  cluster: Cluster,
  scratch: Scratch,
  checks: string[],
): Promise<Pick<Verification, 'differences' | 'doesNotStart'>> {
  if (cluster.scratchOnly || cluster.only) return { differences: [] };
  progress({ what: "starting it with production's own configuration" });
  const differences = await bringProduction(cluster, scratch);
  const doesNotStart = await proveStart(cluster, scratch);
  if (doesNotStart !== undefined) return { differences, doesNotStart };
  checks.push("a start with production's own configuration");
  return { differences };
}

/** Starts the copy of an incident, unless it runs. Throws ServerFailed. */
export async function startCopy(cluster: Cluster, scratch: Scratch): Promise<void> {
  if (!(await postmasterPid(scratch.directory))) {
    await launch(cluster, {
      directory: scratch.directory,
      settings: await scratchSettings(cluster, scratch),
      log: scratch.log,
    });
  }
  const session = { socketDirectory: scratch.socketDirectory, database: 'postgres' };
  await untilReady(
    cluster,
    { directory: scratch.directory, log: scratch.log, seconds: 600, what: 'starting the copy' },
    () =>
      withClient(cluster, session, async (client) =>
        (await one<boolean>(client, 'select pg_is_in_recovery()')) ? undefined : true,
      ).catch(() => undefined),
  );
}

/**
 * Of the pages of every file of the copy, which is cleanly stopped. Throws CannotLook when the program could not look.
 */
async function checksums(cluster: Cluster, scratch: Scratch, checks: string[]): Promise<string[]> {
  if (!(await controlData(cluster, scratch.directory)).checksums) return [];
  progress({ what: 'pg_checksums' });
  const result = await run(
    await bin(cluster, 'pg_checksums', scratch.directory),
    ['--check', '--progress', '-D', scratch.directory],
    {
      owner: await dataOwner(cluster),
      accept: [1],
      ledger: ledger(cluster, 'pg_checksums'),
    },
  );
  checks.push('pg_checksums');
  if (result.code === 0) return [];
  // A program that we run speaks English: `run` sees to it.
  const failures = result.lines.filter((line) => line.includes('checksum verification failed')).slice(0, 10);
  if (failures.length > 0) return failures;
  throw cannotLook('checksums of the copy', new Error(tail(result.lines)), cluster.context.host);
}

/**
 * Unlogged tables and sequences have no WAL: PostgreSQL empties them at the end of each recovery, and a restore is one.
 */
function emptied({ databases }: Listed, home: string, counts: KnownRows['counts']): string[] {
  const names = databases.flatMap(({ database, relations }) =>
    relations
      .filter(({ unlogged, kind }) => unlogged && ['r', 'm', 'S'].includes(kind))
      .map(({ quoted, kind }) => {
        const last = Object.entries(counts).find(([table]) => database.name === home && plain(table) === quoted)?.[1];
        const rows = typeof last === 'number' ? ` (${last} rows were last known)` : '';
        return `${kind === 'S' ? 'sequence ' : ''}${quoted}${database.name === home ? '' : ` in database ${database.name}`}${rows}`;
      }),
  );
  if (names.length === 0) return [];
  return [
    `unlogged, and so empty after any restore: ${names.slice(0, 20).join(', ')}${names.length > 20 ? ` and ${names.length - 20} more` : ''}`,
  ];
}

/** As the catalog quotes it, for names that need no quotes. */
const plain = (table: string) => (table.includes('.') ? table : `public.${table}`);

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
