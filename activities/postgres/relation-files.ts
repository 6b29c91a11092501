import { readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { openRegular } from '../files.js';
import { progress } from '../capability.js';
import { type Damage, kindOf } from './amcheck.js';
import { type PageState, stateOf } from './page.js';
import type { DatabaseName, Relation } from './relations.js';

/** What the server was built and made with. */
export interface Layout {
  checksums: boolean;
  pageBytes: number;
  /** Pages of a file, before the next one begins. */
  segmentPages: number;
}

export type Suspect = Damage & {
  relation: Relation;
  what: 'zero pages' | 'short';
  /** The zero pages; of very many, the first. */ blocks: number[];
};

const blocksKept = 10_000;

export interface FilesChecked {
  damage: Damage[];
  /** Zero pages and lengths that may be ordinary after a crash, and may be rows that are gone. */
  suspect: Suspect[];
  files: number;
  bytes: number;
}

export interface InDatabase {
  database: DatabaseName;
  relations: Relation[];
}

/**
 * Looks at every page of every file of the relations given, whatever kind they are: checksum and header (all forks),
 * files that are missing or cut off, zero pages inside of a table. A zero page is valid to checksums, amcheck and
 * PostgreSQL alike, which read it as an empty one: a restore with holes "succeeds" (wal-g#1723). Works on the files of
 * a server that is stopped, or has written everything down (CHECKPOINT) and takes no writes: a page that does not hold
 * is read again, since it may just be written.
 */
export async function checkFiles(
  dataDirectory: string,
  databases: InDatabase[],
  layout: Layout,
): Promise<FilesChecked> {
  const found: FilesChecked = { damage: [], suspect: [], files: 0, bytes: 0 };
  // Those that all databases share are listed in each.
  const seen = new Set<string>();
  const folders = new Map<string, Promise<Map<string, string[]>>>();
  // On a boundary of words: they are read out of it.
  const chunk = Buffer.from(new ArrayBuffer(layout.pageBytes * 128));
  const all = databases.flatMap(({ database, relations }) => relations.map((relation) => ({ database, relation })));
  for (const [at, { database, relation }] of all.entries()) {
    const { path } = relation;
    if (path === null || seen.has(path)) continue;
    seen.add(path);
    progress({ what: 'looking for damaged pages', percent: Math.round((100 * at) / all.length) });
    const folder = dirname(path);
    if (!folders.has(folder)) folders.set(folder, filesOf(join(dataDirectory, folder)));
    const names = (await folders.get(folder)!).get(basename(path)) ?? [];
    const say = (to: Damage[], says: string) => to.push({ database, relation, kind: kindOf(relation), says });
    const blocks: number[] = [];
    const suspect = (what: Suspect['what'], says: string) =>
      found.suspect.push({ database, relation, kind: kindOf(relation), says, what, blocks });
    const main = names.filter((name) => !name.includes('_')).sort((a, b) => segmentOf(a) - segmentOf(b));
    const gap = main.findIndex((name, place) => segmentOf(name) !== place);
    if (main.length === 0 || gap >= 0) {
      say(found.damage, `its file ${path}${gap > 0 ? `.${gap}` : ''} is missing`);
      continue;
    }
    let pages = 0;
    let holes = 0;
    for (const name of names) {
      const file = join(folder, name);
      const read = await readPages(join(dataDirectory, file), segmentOf(name) * layout.segmentPages, layout, chunk);
      found.files += 1;
      found.bytes += read.bytes;
      if (read.bad.length > 0) say(found.damage, `${file}: ${describe(read.bad)}`);
      if (read.bytes % layout.pageBytes !== 0)
        say(found.damage, `${file} ends in the middle of a page, at ${read.bytes} bytes`);
      if (name.includes('_')) continue;
      const whole = Math.floor(read.bytes / layout.pageBytes);
      if (name !== main.at(-1) && whole < layout.segmentPages)
        say(found.damage, `${file} is cut off: the next file goes on`);
      if (segmentOf(name) === 0 && relation.kind === 'S' && whole === 0) say(found.damage, `${file} is empty`);
      if (segmentOf(name) === 0 && relation.kind === 'i' && !relation.unlogged && whole === 0)
        say(found.damage, `${file} is empty`);
      // The first page of an index or a sequence is written when it is made.
      if (segmentOf(name) === 0 && ['i', 'S'].includes(relation.kind) && read.firstIsZero)
        say(found.damage, `${file}: its first page is zero`);
      pages += whole;
      holes += read.holes.length;
      blocks.push(...read.holes.slice(0, blocksKept - blocks.length));
    }
    if (holes > 0 && mayNotHaveHoles(relation))
      suspect('zero pages', `${path}: ${holes} zero ${holes === 1 ? 'page' : 'pages'}`);
    if (pages < relation.pages && !relation.unlogged)
      suspect('short', `${path} has ${pages} pages, and had ${relation.pages} when it was last analyzed`);
  }
  return found;
}

/**
 * Where a zero page with written ones after it says something: not in a hash index, which is made larger by many pages
 * at once, nor in a BRIN one, which fills them later; B-trees are walked by amcheck, which finds a zero page that is in
 * use.
 */
const mayNotHaveHoles = ({ kind, method }: Relation): boolean =>
  kind !== 'i' || ['gin', 'gist', 'spgist'].includes(method ?? '');

/** The files of a folder by the relation's number: forks and further files (`16390_fsm`, `16390.1`) with it. */
async function filesOf(folder: string): Promise<Map<string, string[]>> {
  const found = new Map<string, string[]>();
  for (const name of await readdir(folder).catch(() => [])) {
    const number = /^(\d+)(_fsm|_vm|_init)?(\.\d+)?$/.exec(name)?.[1];
    if (number === undefined) continue;
    if (!found.has(number)) found.set(number, []);
    found.get(number)!.push(name);
  }
  return found;
}

const segmentOf = (name: string): number => Number(name.split('.')[1] ?? 0);

type Bad = { block: number; state: PageState };

function describe(bad: Bad[]): string {
  const [first] = bad;
  const what = first!.state === 'checksum' ? 'the checksum does not match' : 'the header of the page is not one';
  return `${what} in block ${first!.block}${bad.length > 1 ? ` (${bad.length} pages are damaged)` : ''}`;
}

interface Read {
  bytes: number;
  bad: Bad[];
  /**
   * Zero pages that have written ones after them: at the end they are ordinary, a relation is extended before it is
   * written.
   */
  holes: number[];
  firstIsZero: boolean;
}

async function readPages(
  path: string,
  firstBlock: number,
  { checksums, pageBytes }: Layout,
  chunk: Buffer,
): Promise<Read> {
  const read: Read = { bytes: 0, bad: [], holes: [], firstIsZero: false };
  const file = await openRegular(path);
  try {
    let pending: number[] = [];
    for (;;) {
      const { bytesRead } = await file.read(chunk, 0, chunk.length, read.bytes);
      for (let at = 0; at + pageBytes <= bytesRead; at += pageBytes) {
        const block = firstBlock + (read.bytes + at) / pageBytes;
        const page = chunk.subarray(at, at + pageBytes);
        let state = stateOf(page, block, checksums);
        for (let again = 0; again < 3 && (state === 'checksum' || state === 'header'); again += 1) {
          await new Promise((resolve) => setTimeout(resolve, 20));
          await file.read(chunk, at, pageBytes, read.bytes + at);
          state = stateOf(page, block, checksums);
        }
        if (state === 'zero') {
          if (block === 0) read.firstIsZero = true;
          pending.push(block);
          continue;
        }
        if (state !== 'sound') read.bad.push({ block, state });
        if (pending.length > 0) {
          read.holes = read.holes.concat(pending);
          pending = [];
        }
      }
      read.bytes += bytesRead;
      if (bytesRead < chunk.length) return read;
    }
  } finally {
    await file.close();
  }
}
