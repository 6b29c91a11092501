import { amcheck, type Checked, type Damage } from './amcheck.js';
import type { CheckSession } from './check-session.js';
import { one } from './connect.js';
import type { InDatabase, Layout } from './relation-files.js';
import { databasesOf, type Relation, relationsOf } from './relations.js';
import { judge } from './sqlstate.js';

/** A whole cluster as its catalogs list it. */
export interface Listed {
  layout: Layout;
  databases: InDatabase[];
  /** Catalogs that cannot be read. */
  damage: Damage[];
  /** What could not be listed, though it should have been. */
  notChecked: string[];
  /** What no check of ours can tell, or what is left out on purpose. */
  limits: string[];
}

/**
 * Lists every relation of every database that lets anybody in. Throws CannotLook. `host`: where it is, for the hint.
 */
export async function listCluster(session: CheckSession, host: string): Promise<Listed> {
  const { layout, open, closed } = await session('postgres', async (client) => {
    const setting = async (name: string) =>
      (await one<string>(client, 'select setting from pg_settings where name = $1', [name])) ?? '';
    return {
      layout: {
        checksums: (await setting('data_checksums')) === 'on',
        pageBytes: Number(await setting('block_size')),
        segmentPages: Number(await setting('segment_size')),
      },
      ...(await databasesOf(client)),
    };
  });
  const listed: Listed = {
    ...{ layout, databases: [], damage: [], notChecked: [] },
    limits: closed.map(({ name, why }) => `database ${name} was not looked into: ${why}`),
  };
  for (const database of open) {
    try {
      listed.databases.push({ database, relations: await session(database.name, relationsOf) });
    } catch (error) {
      const seen = judge(`the catalog of database ${database.name}`, error, host);
      if ('damage' in seen)
        listed.damage.push({
          database,
          relation: null,
          kind: 'other',
          says: `the catalog of ${database.name} cannot be read: ${seen.damage}`,
        });
      else listed.notChecked.push(`database ${database.name}: ${seen.notChecked}`);
    }
  }
  if (!layout.checksums)
    listed.limits.push('data checksums are off: of the contents of pages, only their headers were checked');
  const opaque = listed.databases.flatMap(({ relations }) =>
    relations.filter((relation) => relation.kind === 'i' && !structured(relation)),
  );
  if (opaque.length > 0) {
    const names = opaque.slice(0, 5).map(({ label, method }) => `${label} (${method})`);
    const more = opaque.length > 5 ? ` and ${opaque.length - 5} more` : '';
    listed.limits.push(`no check knows the inside of ${names.join(', ')}${more}: only their pages were checked`);
  }
  return listed;
}

const structured = ({ method, usable }: Relation): boolean => !usable || method === 'btree';

/** amcheck over everything that was listed, one database after the other. Throws CannotLook. */
export async function checkStructure(session: CheckSession, { databases }: Listed, host: string): Promise<Checked> {
  const found: Checked = { damage: [], notChecked: [], checked: 0 };
  for (const { database, relations } of databases) {
    const { damage, notChecked, checked } = await amcheck(session, database, relations, host);
    found.damage.push(...damage);
    found.notChecked.push(
      ...notChecked.map((line) => `${line}${databases.length > 1 ? ` (database ${database.name})` : ''}`),
    );
    found.checked += checked;
  }
  return found;
}

/** One sentence. `home`: the database that need not be named. */
export function describeDamage({ database, relation, kind, says }: Damage, home: string): string {
  if (!relation) return says;
  const where = database.name === home ? '' : ` in database ${database.name}`;
  return `${kind === 'index' ? 'index ' : kind === 'sequence' ? 'sequence ' : ''}${relation.label}${where}: ${says}`;
}

/** Several findings of one relation are one: the first, and how many more. */
export function byRelation(damage: Damage[]): Damage[] {
  const found = new Map<string, Damage[]>();
  for (const one of damage) {
    const key = one.relation ? `${one.database.oid}/${one.relation.oid}` : `${one.database.oid}/${one.says}`;
    found.set(key, [...(found.get(key) ?? []), one]);
  }
  return [...found.values()].map(([first, ...more]) => ({
    ...first!,
    says: more.length > 0 ? `${first!.says} (and ${more.length} more)` : first!.says,
  }));
}
