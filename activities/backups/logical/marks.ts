import { createHash } from 'node:crypto';
import pg from 'pg';
import type { Source } from '../../postgres/source.js';
import { checkpoint } from '../../checkpoint.js';

/**
 * What a restore has done is written on the databases themselves, as their comments: a rename and its mark are one
 * transaction.
 */

const begun = (component: string, run: string, stage: 'begun' | 'ready') =>
  `Lifeboat restores ${component} (run ${run}): ${stage}`;
const restored = (what: string, run: string) => `Restored by Lifeboat from ${what} (run ${run})`;
const setAside = (run: string) => `Set aside by Lifeboat (run ${run})`;

/** The name of a database until it is whole. */
export const temporaryName = (component: string, run: string): string =>
  `lifeboat_restore_${createHash('sha256').update(`${component} ${run}`).digest('hex').slice(0, 12)}`;

/** `NAME_before_20261121T020000Z`, in the 63 bytes that a name may have. */
export function asideName(name: string, at: Date): string {
  const suffix = `_before_${at.toISOString().replace(/[-:]/g, '').replace(/\.\d+/, '')}`;
  let head = name;
  while (Buffer.byteLength(head) + suffix.length > 63) head = [...head].slice(0, -1).join('');
  return head + suffix;
}

export const markStatement = (database: string, mark: string): string =>
  `COMMENT ON DATABASE ${pg.escapeIdentifier(database)} IS ${pg.escapeLiteral(mark)}`;
export const marks = { begun, restored, setAside };

export interface Marked {
  name: string;
  mark: string | null;
  open: boolean;
}

export async function databases(client: pg.Client): Promise<Marked[]> {
  const { rows } = await client.query<Marked>(
    `select datname as name, shobj_description(oid, 'pg_database') as mark, datallowconn as open from pg_database`,
  );
  return rows;
}

/** What an earlier attempt of this run has come to. */
export interface Earlier {
  /** The database that it restored, in its place. */
  placed?: string;
  aside?: string;
  /** It is whole and verified, under its temporary name. */
  ready: boolean;
}

export function earlierOf(found: Marked[], component: string, run: string): Earlier {
  const placed = found.find(
    ({ mark }) => mark?.startsWith('Restored by Lifeboat from ') && mark.endsWith(` (run ${run})`),
  )?.name;
  const aside = found.find(({ mark }) => mark === setAside(run))?.name;
  const ready = found.some(
    ({ name, mark }) => name === temporaryName(component, run) && mark === begun(component, run, 'ready'),
  );
  return { ...(placed === undefined ? {} : { placed }), ...(aside === undefined ? {} : { aside }), ready };
}

/**
 * Drops what dead or failed restores of this component left under temporary names: by name and mark ours, and never
 * anything else.
 */
export async function dropTemporary(
  client: pg.Client,
  source: Pick<Source, 'component'>,
  keep?: string,
): Promise<void> {
  for (const { name, mark } of await databases(client)) {
    const own =
      /^lifeboat_restore_[0-9a-f]{12}$/.test(name) &&
      (mark === null || mark.startsWith(`Lifeboat restores ${source.component} (run `));
    if (!own || name === keep) continue;
    // Without a mark it was killed between its making and its marking; another component's restore may be just there,
    // unless it is empty of sessions.
    if (mark === null && (await inUse(client, name))) continue;
    await checkpoint('before dropping a temporary database');
    await client.query(`DROP DATABASE IF EXISTS ${pg.escapeIdentifier(name)} WITH (FORCE)`);
  }
}

async function inUse(client: pg.Client, name: string): Promise<boolean> {
  const { rowCount } = await client.query('select 1 from pg_stat_activity where datname = $1', [name]);
  return (rowCount ?? 0) > 0;
}
