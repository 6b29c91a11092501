import type { Client } from './connect.js';

/**
 * Databases and relations of a cluster as the catalog lists them: by OID, since a name may hold dots, quotes and
 * anything else.
 */

export interface DatabaseName {
  oid: number;
  name: string;
}

export interface Relation {
  oid: number;
  /** Schema and name, each quoted as SQL wants it. */
  quoted: string;
  /** For people: the same, and whose TOAST table it is. */
  label: string;
  /** r: table, m: materialized view, t: TOAST table, i: index, S: sequence. */
  kind: 'r' | 'm' | 't' | 'i' | 'S';
  /** Access method: heap, btree, gin, ...; null for a sequence. */
  method: string | null;
  unlogged: boolean;
  /** Of its first file, from the data directory; null: it has none. */
  path: string | null;
  /** Pages, as the last VACUUM or ANALYZE saw them. */
  pages: number;
  /** Of an index: built, valid and kept up to date. */
  usable: boolean;
  /** Of an index: the OID of its table, and that it is over all of its rows. */
  table: number | null;
  whole: boolean;
}

export interface Databases {
  open: DatabaseName[];
  /** Those that let nobody in, and why. */
  closed: (DatabaseName & { why: string })[];
}

/**
 * Every database, and which of them nobody can enter: `datallowconn` is off, or a DROP DATABASE that broke off has left
 * it invalid (`datconnlimit` -2). Without template0, which is always so. Source: PostgreSQL manual, pg_database.
 */
export async function databasesOf(client: Client): Promise<Databases> {
  const { rows } = await client.query<DatabaseName & { allowed: boolean; invalid: boolean }>(
    `select oid, datname as name, datallowconn as allowed, datconnlimit = -2 as invalid from pg_database where datname <> 'template0' order by 2`,
  );
  const named = ({ oid, name }: DatabaseName) => ({ oid, name });
  return {
    open: rows.filter(({ allowed, invalid }) => allowed && !invalid).map(named),
    closed: rows
      .filter(({ allowed, invalid }) => !allowed || invalid)
      .map((row) => ({
        ...named(row),
        why: row.invalid
          ? 'an interrupted DROP DATABASE has left it: drop it when it suits'
          : 'it allows no connections (datallowconn)',
      })),
  };
}

/** What has files of its own and is not temporary, the largest first. */
export async function relationsOf(client: Client): Promise<Relation[]> {
  const { rows } = await client.query<Omit<Relation, 'label'> & { of: string | null }>(
    `select c.oid, format('%I.%I', coalesce(n.nspname, c.relnamespace::text), c.relname) as quoted, c.relkind::text as kind,
            a.amname as method, c.relpersistence = 'u' as unlogged, pg_relation_filepath(c.oid) as path, c.relpages as pages,
            coalesce(i.indisready and i.indisvalid and i.indislive, true) as usable,
            i.indrelid as table, i.indpred is null as whole,
            case when p.oid is not null then format('%I.%I', pn.nspname, p.relname) end as of
     from pg_class c left join pg_namespace n on n.oid = c.relnamespace left join pg_am a on a.oid = c.relam
       left join pg_index i on i.indexrelid = c.oid
       left join pg_class p on p.reltoastrelid <> 0 and p.reltoastrelid = coalesce(i.indrelid, c.oid)
       left join pg_namespace pn on pn.oid = p.relnamespace
     where c.relkind in ('r', 'm', 't', 'i', 'S') and c.relpersistence <> 't'
     order by c.relpages desc, c.oid`,
  );
  return rows.map(({ of, ...row }) => ({ ...row, label: of === null ? row.quoted : `${row.quoted} (TOAST of ${of})` }));
}
