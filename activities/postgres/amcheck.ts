import { progress } from '../capability.js';
import { checkpoint } from '../checkpoint.js';
import type { CheckSession } from './check-session.js';
import { type Client, one } from './connect.js';
import type { DatabaseName, Relation } from './relations.js';
import { isDamage, isLocked, judge } from './sqlstate.js';

/** What is wrong with one relation, or with a database as a whole. */
export interface Damage {
  database: DatabaseName;
  relation: Pick<Relation, 'oid' | 'quoted' | 'label'> | null;
  /** An index alone can be rebuilt. */
  kind: 'index' | 'table' | 'sequence' | 'other';
  says: string;
}

export interface Checked {
  damage: Damage[];
  /** What should have been checked and could not be: a sentence for each relation. */
  notChecked: string[];
  /** Relations that were looked at from end to end. */
  checked: number;
}

export const kindOf = ({ kind }: Pick<Relation, 'kind'>): Damage['kind'] =>
  kind === 'i' ? 'index' : kind === 'S' ? 'sequence' : 'table';

const sessions = 2;

/**
 * Checks the structure of every relation of a database with amcheck's own functions: heaps with their TOAST; B-trees
 * with every heap tuple looked up in them, parents compared with children (which blocks writes: only where there are
 * none) and each tuple searched from the root; sequences are read. What is damage is said by the SQLSTATE alone. Throws
 * CannotLook when the host keeps us from looking.
 * Source: field-notes, "Verify a restored copy"; PostgreSQL manual, amcheck; pg_amcheck.c, which asks the same.
 */
export async function amcheck(
  session: CheckSession,
  database: DatabaseName,
  relations: Relation[],
  host: string,
): Promise<Checked> {
  const found: Checked = { damage: [], notChecked: [], checked: 0 };
  const where = `database ${database.name}`;
  await checkpoint('before amcheck');
  const schema = await session(database.name, install).catch((error: unknown) => {
    const seen = judge(`the structure of ${where}`, error, host);
    if ('damage' in seen)
      found.damage.push({ database, relation: null, kind: 'other', says: `${where}: ${seen.damage}` });
    else found.notChecked.push(`the structure of ${where}: ${seen.notChecked}`);
    return undefined;
  });
  if (schema === undefined) return found;
  if (schema === null) {
    found.notChecked.push(`the structure of ${where}: the amcheck extension is not on this host`);
    return found;
  }
  const left = relations.filter((relation) => statement(schema.name, relation, schema.gin) !== undefined);
  const total = left.length;
  const take = async (client: Client) => {
    for (let relation = left.shift(); relation; relation = left.shift()) {
      progress({
        what: `running amcheck on ${relation.label}`,
        percent: Math.round((100 * (total - left.length - 1)) / total),
      });
      await check(client, relation);
    }
  };
  const check = async (client: Client, relation: Relation) => {
    try {
      const said = await ask(client, schema, relation);
      if (said !== undefined) found.damage.push({ database, relation, kind: kindOf(relation), says: said });
      found.checked += 1;
    } catch (error) {
      const seen = judge(relation.label, error, host);
      if ('damage' in seen) found.damage.push({ database, relation, kind: kindOf(relation), says: seen.damage });
      else
        found.notChecked.push(
          `${relation.label}: ${isLocked(error) ? await lockedBy(client, relation) : seen.notChecked}`,
        );
    }
  };
  await Promise.all(Array.from({ length: sessions }, () => session(database.name, take))).catch((error: unknown) => {
    // The other session ends with what it is at.
    left.length = 0;
    const seen = judge(`the structure of ${where}`, error, host);
    if ('damage' in seen)
      found.damage.push({ database, relation: null, kind: 'other', says: `${where}: ${seen.damage}` });
    else throw error;
  });
  await checkpoint('after amcheck');
  return found;
}

interface Amcheck {
  /** Quoted. */
  name: string;
  /** gin_index_check is there (PostgreSQL 18). */
  gin: boolean;
}

/** Where its functions are; it is added when it is missing, and brought up to date. Null: the host does not have it. */
async function install(client: Client): Promise<Amcheck | null> {
  if (!(await one<boolean>(client, `select exists(select from pg_available_extensions where name = 'amcheck')`)))
    return null;
  if (!(await one<boolean>(client, `select exists(select from pg_extension where extname = 'amcheck')`)))
    await client.query('create extension if not exists amcheck with schema pg_catalog');
  const old = `select exists(select from pg_available_extensions where name = 'amcheck' and installed_version <> default_version)`;
  if (await one<boolean>(client, old)) await client.query('alter extension amcheck update');
  const { rows } = await client.query<Amcheck>(
    `select quote_ident(n.nspname) as name, exists(select from pg_proc p where p.pronamespace = n.oid and p.proname = 'gin_index_check') as gin
     from pg_extension e join pg_namespace n on n.oid = e.extnamespace where e.extname = 'amcheck'`,
  );
  return rows[0]!;
}

/** What is asked of a relation, `$1` being its OID; undefined: there is nothing that could be. */
function statement(schema: string, { kind, method, usable, quoted }: Relation, gin: boolean): string | undefined {
  if (kind === 'S') return `select last_value from ${quoted}`;
  if (kind !== 'i') {
    if (method !== 'heap') return undefined;
    return `select msg, blkno from ${schema}.verify_heapam($1::oid::regclass, false, true, 'none', null, null) limit 100`;
  }
  if (!usable) return undefined;
  if (method === 'btree') return `select ${schema}.bt_index_parent_check($1::oid::regclass, true, true)`;
  return method === 'gin' && gin ? `select ${schema}.gin_index_check($1::oid::regclass)` : undefined;
}

/** Undefined: it is sound. Else what is wrong with it; errors are thrown. */
async function ask(client: Client, schema: Amcheck, relation: Relation): Promise<string | undefined> {
  const text = statement(schema.name, relation, schema.gin)!;
  const values = relation.kind === 'S' ? [] : [relation.oid];
  try {
    const { rows } = await client.query<{ msg?: string; blkno?: string }>(text, values);
    const [first] = relation.kind === 'i' || relation.kind === 'S' ? [] : rows;
    return first && `block ${first.blkno}: ${first.msg}`;
  } catch (error) {
    // Parents are compared under a lock that others may keep us from; the rest is checked under the one of a reader.
    if (!isLocked(error) || relation.method !== 'btree') throw error;
    await client.query(`select ${schema.name}.bt_index_check($1::oid::regclass, true)`, values);
    return undefined;
  }
}

/** Who keeps us from it: sessions, or a prepared transaction, which holds its locks until somebody ends it. */
async function lockedBy(client: Client, { oid }: Relation): Promise<string> {
  const { rows } = await client
    .query<{ who: string }>(
      `select distinct coalesce('session ' || l.pid, 'prepared transaction ' || quote_literal(p.gid), 'somebody') as who
       from pg_locks l left join pg_prepared_xacts p on l.virtualtransaction = '-1/' || p.transaction
       where l.granted and l.database = (select d.oid from pg_database d where d.datname = current_database())
         and l.relation in ($1::oid, (select indrelid from pg_index where indexrelid = $1::oid)) and l.pid is distinct from pg_backend_pid()`,
      [oid],
    )
    .catch((error: unknown) => {
      if (isDamage(error)) return { rows: [] };
      throw error;
    });
  return `it is locked by ${rows.map(({ who }) => who).join(', ') || 'somebody'}`;
}
