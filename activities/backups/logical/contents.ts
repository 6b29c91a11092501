import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { asOwner } from '../../as-owner.js';
import { failure } from '../../errors.js';
import type { Programs } from '../../postgres/programs.js';
import type { Source } from '../../postgres/source.js';

const execFileAsync = promisify(execFile);

/** An entry of a dump's table of contents. */
export interface Entry {
  /** Its number, the same in every restore of this dump. */
  id: string;
  /** `TABLE DATA`: its first word is enough for most. */
  kind: string;
  /** As pg_restore lists it: kind, schema, name, owner. */
  what: string;
  /** Numbers of others that must be there first. */
  needs: string[];
}

/**
 * What is in a dump, in its order; or one section of it, without what its entries need: `--verbose` lists all, whatever
 * is asked for.
 * Source: PostgreSQL manual, pg_restore -l, --verbose; pg_backup_archiver.c, PrintTOCSummary.
 */
export async function contentsOf(
  source: Source,
  { directory }: Programs,
  path: string,
  section?: string,
): Promise<Entry[]> {
  const asked = ['--list', section === undefined ? '--verbose' : `--section=${section}`, path];
  const as = asOwner(source.owner, join(directory, 'pg_restore'), asked);
  const options = { ...as.identity, cwd: '/', env: { PATH: process.env['PATH'], LC_ALL: 'C' }, maxBuffer: 2 ** 30 };
  const { stdout } = await execFileAsync(as.command, as.args, options);
  const entries: Entry[] = [];
  // pg_restore writes no line end within a name; other characters that end a line for some are no end here.
  for (const line of stdout.split('\n')) {
    const [, id, what] = /^(\d+); \d+ \d+ ([^]*)$/.exec(line) ?? [];
    if (id !== undefined) entries.push({ id, kind: what!.split(' ')[0]!, what: what!, needs: [] });
    const needs = /^;\tdepends on:((?: \d+)+)$/.exec(line)?.[1];
    if (needs) entries.at(-1)?.needs.push(...needs.trim().split(' '));
  }
  return entries;
}

/**
 * What is left out with these: entries by number, or all of one `schema.name`; and whatever needs one of them. Throws
 * BadRequest for what is not in the dump.
 */
export function leftOutWith(entries: Entry[], names: string[]): Entry[] {
  const out = new Set<string>();
  for (const name of names) {
    const meant = entries.filter((entry) => (/^\d+$/.test(name) ? entry.id === name : isNamed(entry, name)));
    if (meant.length === 0)
      throw failure(
        'BadRequest',
        `there is no ${name} in the dump`,
        'Name what a restore could not bring, by its number or as schema.name: pg_restore --list shows all of them. Nothing was changed.',
      );
    for (const { id } of meant) out.add(id);
  }
  for (let before = -1; before < out.size;) {
    before = out.size;
    for (const { id, needs } of entries) if (needs.some((one) => out.has(one))) out.add(id);
  }
  return entries.filter(({ id }) => out.has(id));
}

/** A dot may be of either name. */
function isNamed({ what }: Entry, name: string): boolean {
  const plain = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  const dots = [...name.matchAll(/\./g)].map(({ index }) => index);
  return dots.some((at) =>
    new RegExp(`^[A-Z]+(?: [A-Z]+)* ${plain(name.slice(0, at))} ${plain(name.slice(at + 1))}(?: |$)`).test(what),
  );
}
