import { progress } from '../capability.js';
import type { Damage } from './amcheck.js';
import { type CheckSession, checkSession } from './check-session.js';
import { askQueries, compareRows, countRows, readCatalog } from './checks.js';
import type { Cluster } from './cluster.js';
import type { Client } from './connect.js';
import { countByIndex, indexOver } from './index-count.js';
import { knownRowsAt } from './known-rows.js';
import { checkFiles, type Suspect } from './relation-files.js';
import type { DamagedIndex } from './repair.js';
import { isMissing, isNoDatabase, judge } from './sqlstate.js';
import { byRelation, checkStructure, describeDamage, listCluster, type Listed } from './structure.js';
import { rowsInZeroPages } from './zero-page-proof.js';

/** What was found in a database, and what was not looked at. */
export interface Found {
  /** Damage that a REINDEX does not repair. */
  physical: string[];
  /** Damaged indexes, in sentences and by their OIDs. */
  damaged: string[];
  damagedIndexes: DamagedIndex[];
  /** Rows that are missing or wrong, as far as the plan or a file says, on pages that are sound. */
  logical: string[];
  notChecked: string[];
  /** What was done, for the evidence. */
  did: string[];
}

/**
 * Files first, which changes nothing; then structure, rows and queries. Throws CannotLook: what keeps us from looking
 * is no damage.
 */
export async function lookForDamage(cluster: Cluster, directory: string): Promise<Found> {
  const { host } = cluster.context;
  const { name: home } = cluster.plan;
  const session = checkSession(cluster);
  const found: Found = { physical: [], damaged: [], damagedIndexes: [], logical: [], notChecked: [], did: [] };
  const sentence = (one: Damage) => describeDamage(one, home);
  try {
    const listed = await listCluster(session, host);
    found.notChecked.push(...listed.notChecked, ...listed.limits);
    await session('postgres', (client) => client.query('checkpoint')).catch((error: unknown) => {
      judge('the server', error, host);
      // Of class XX, whatever keeps it from that: why, only its log says.
      found.notChecked.push(`what the server has not written to its files yet: ${(error as Error).message}`);
    });
    const files = await checkFiles(directory, listed.databases, listed.layout);
    found.did.push(`${files.files} files of relations, ${files.bytes} bytes: ${pageChecks(listed.layout)}`);
    const structure = await checkStructure(session, listed, host);
    found.did.push(`amcheck of ${structure.checked} relations`);
    found.notChecked.push(...structure.notChecked);
    // Of an index it can do no harm to take it for damaged: it is rebuilt.
    const suspectIndexes = files.suspect.filter(({ kind }) => kind === 'index');
    const seen = [...listed.damage, ...files.damage, ...structure.damage, ...suspectIndexes];
    const counted = await countByIndex(session, listed.databases, seen, host);
    found.notChecked.push(...counted.notChecked);
    const damage = byRelation([...seen, ...counted.damage, ...counted.gone]);
    for (const one of damage) {
      if (one.kind !== 'index' || !one.relation) {
        found.physical.push(sentence(one));
        continue;
      }
      found.damaged.push(sentence(one));
      found.damagedIndexes.push({ database: one.database, oid: one.relation.oid, name: one.relation.quoted });
    }
    const known = new Set(damage.map(({ relation }) => relation?.oid));
    for (const one of files.suspect.filter(({ kind, relation }) => kind !== 'index' && !known.has(relation.oid))) {
      const gone = await rowsGone(session, listed, one, host);
      if (gone === undefined)
        found.logical.push(`${sentence(one)}: ordinary after a crash, or rows are gone; nobody can tell by the file`);
      else if (gone > 0) found.physical.push(`${sentence(one)}, and an index leads to ${gone} rows in them`);
      else found.did.push(`${sentence(one)}: ordinary, no index leads to them`);
    }
    progress({ what: 'catalog, rows and queries' });
    await session(home, (client) => lookAtRows(cluster, client, found));
  } catch (error) {
    const seen = isNoDatabase(error) ? undefined : judge('the database', error, host);
    if (!seen) found.logical.push(`there is no database ${home} any more`);
    else if ('damage' in seen) found.physical.push(`it cannot be read: ${seen.damage}`);
    else found.notChecked.push(`it cannot be read: ${seen.notChecked}`);
  }
  return found;
}

/**
 * How many rows are proven gone; undefined: nobody can tell. A table that is short was counted by its index before,
 * where it has one.
 */
async function rowsGone(
  session: CheckSession,
  { databases }: Listed,
  one: Suspect,
  host: string,
): Promise<number | undefined> {
  const inside = databases.find(({ database }) => database.oid === one.database.oid);
  const index = inside && indexOver(one.relation.oid, inside.relations);
  if (!index) return undefined;
  return one.what === 'short' ? 0 : rowsInZeroPages(session, one, index, host);
}

async function lookAtRows(
  cluster: Cluster,
  client: Client,
  { physical, damagedIndexes, logical, notChecked }: Found,
): Promise<void> {
  physical.push(...(await readCatalog(client)));
  const { counts, errors } = await countRows(cluster, client);
  const known = await knownRowsAt(cluster, new Date());
  for (const row of compareRows(cluster, counts, known?.counts)) {
    if (row.ok) continue;
    if (row.table in errors) sort(row.table, errors[row.table]);
    else logical.push(`${row.table} has ${row.found} rows, ${row.expected} were last known`);
  }
  const queries = await askQueries(cluster, client);
  logical.push(...queries.wrong);
  for (const { says, error } of queries.failed) sort(says, error);

  function sort(what: string, error: unknown): void {
    const says = `${what}: ${(error as Error).message}`;
    if (isMissing(error)) return void logical.push(says);
    const seen = judge(what, error, cluster.context.host);
    // Heaps were checked page by page. A damaged index fails every query that is planned with it: that is asked again
    // once it is rebuilt.
    if ('damage' in seen && damagedIndexes.length === 0) physical.push(says);
    else notChecked.push(says);
  }
}

const pageChecks = ({ checksums }: { checksums: boolean }) =>
  `${checksums ? 'checksums, ' : ''}headers, lengths and zero pages`;
