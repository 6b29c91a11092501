import { type Capability, progress } from '../capability.js';
import type { HostContext } from '../context.js';
import { isFailure } from '../errors.js';
import { amcheck } from './amcheck.js';
import { startClosed } from './closed-server.js';
import { markClosing } from './closing.js';
import { clusterOf, provenDataDirectory, type Cluster, whatIsGone } from './cluster.js';
import { compareRows, countRows, readCatalog, runQueries } from './checks.js';
import { answers, one, withClient } from './connect.js';
import { type EvidenceFile, keepEvidence } from './evidence.js';
import { missingSince } from './end-of-recovery.js';
import { knownRowsAt } from './known-rows.js';

export type Classification = 'healthy' | 'repairable' | 'not repairable' | 'logically wrong';

export interface Assessment {
  summary: string;
  classification: Classification;
  findings: string[];
  /** `database: "schema"."index"`, for REINDEX. */
  damagedIndexes: { database: string; index: string }[];
  files: EvidenceFile[];
}

/**
 * Looks at the damaged database and says what it is. Index damage alone is repairable; a heap, a catalog or a server that will not start
 * is not; sound pages with missing or wrong rows are logically wrong, and only a restore to a moment before brings them back.
 */
export const assess = (context: HostContext): Capability<{ database: string; incident: string; round: number }, Assessment> => ({
  async rehearse({ database }) {
    const cluster = clusterOf(context, database);
    await provenDataDirectory(cluster);
    const has = await withClient(cluster, {}, (client) =>
      one<boolean>(client, `select exists(select from pg_available_extensions where name = 'amcheck')`),
    );
    return {
      summary: has
        ? 'could be assessed: amcheck is available. Taken as not repairable, so that the restore is drilled'
        : 'amcheck is not available on this server: only reads would be checked',
      classification: 'not repairable',
      findings: [],
      damagedIndexes: [],
      files: [],
    };
  },

  async execute({ database, incident, round }) {
    const cluster = clusterOf(context, database);
    await provenDataDirectory(cluster);
    const gone = await whatIsGone(cluster);
    if (gone) return verdict('not repairable', [gone], []);
    const down = await bringUp(cluster, incident);
    if (down) return verdict('not repairable', [`the server does not start: ${down}`], []);
    const checked = await amcheck(cluster, { install: true });
    progress({ what: 'catalog, rows and queries' });
    const physical = checked.damage.filter((one) => one.kind !== 'index').map((one) => `${one.relation || 'cluster'}: ${one.says}`);
    physical.push(...(await missingSince(cluster).catch(() => [])));
    const indexes = checked.damage.filter((one) => one.kind === 'index');
    const logical: string[] = [];
    await withClient(cluster, { statementTimeout: 600_000 }, async (client) => {
      physical.push(...(await readCatalog(client)));
      const { counts, errors } = await countRows(cluster, client);
      const known = await knownRowsAt(cluster, new Date());
      for (const row of compareRows(cluster, counts, known?.counts)) {
        if (row.ok) continue;
        const error = errors[row.table];
        const says = error ? `${row.table}: ${error}` : `${row.table} has ${row.found} rows, ${row.expected} were last known`;
        if (error && !/does not exist/.test(error)) physical.push(says);
        else logical.push(says);
      }
      logical.push(...(await runQueries(cluster, client)));
    }).catch((error: unknown) => physical.push(`it cannot be read: ${(error as Error).message}`));
    const file = await keepEvidence(
      context,
      incident,
      `${database}-amcheck-${round}.txt`,
      [...checked.output, '', ...physical, ...logical].join('\n'),
    );
    const damaged = indexes.map((one) => `index ${one.relation}: ${one.says}`);
    if (physical.length > 0) return verdict('not repairable', [...physical, ...damaged, ...logical], [file]);
    if (indexes.length > 0) {
      return {
        ...verdict('repairable', [...damaged, ...logical], [file]),
        damagedIndexes: indexes.map((one) => ({ database: one.database, index: one.relation })),
      };
    }
    return verdict(logical.length > 0 ? 'logically wrong' : 'healthy', logical, [file]);
  },
});

function verdict(classification: Classification, findings: string[], files: EvidenceFile[]): Assessment {
  const first = findings[0];
  const more = findings.length > 1 ? ` (and ${findings.length - 1} more)` : '';
  return {
    summary: first ? `${classification}: ${first}${more}` : `${classification}: nothing wrong was found`,
    classification,
    findings: findings.slice(0, 50),
    damagedIndexes: [],
    files,
  };
}

/** Starts a server that is down (it is closed, so nobody gets in). Returns why it could not be. */
async function bringUp(cluster: Cluster, incident: string): Promise<string | undefined> {
  try {
    if (await answers(cluster)) return undefined;
    await startClosed(cluster);
    await markClosing(cluster, incident);
    return undefined;
  } catch (error) {
    if (isFailure(error, 'ServerFailed') || isFailure(error, 'CommandFailed')) return error.message;
    throw error;
  }
}
