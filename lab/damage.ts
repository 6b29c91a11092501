import { closeSync, fstatSync, fsyncSync, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Cluster } from './cluster.js';
import { isBtreeLeaf, linePointers, pageSize, seal, swapLinePointers } from './page.js';
import { randomFrom } from './random.js';

/**
 * Destroys data of a database for real.
 *
 * A running server answers out of its cache and may write its own good copy of a page over the damaged one, so by
 * default the server is stopped cleanly, its file damaged, and the server started again: from then on everybody who
 * reads the page notices. `running: true` damages the file under the running server, after a checkpoint: it shows only
 * when the page is read from disk again.
 */
export interface DamageOptions {
  running?: boolean;
}

/** Garbage in pages of a table or an index: checksum failures. */
export async function overwritePages(
  cluster: Cluster,
  relation: string,
  blocks: number[] = [0],
  seed = 1,
  options: DamageOptions = {},
): Promise<void> {
  const random = randomFrom(seed);
  await onFile(cluster, relation, options, (file) => {
    for (const block of blocks)
      writePage(file, block, Buffer.from(Array.from({ length: pageSize }, () => Math.floor(random() * 256))));
  });
}

/**
 * Zeroes in pages of a table: rows are gone, and neither checksum nor structure tells, since an empty page is a valid
 * one.
 */
export async function zeroPages(
  cluster: Cluster,
  relation: string,
  blocks: number[] = [0],
  options: DamageOptions = {},
): Promise<void> {
  await onFile(cluster, relation, options, (file) => {
    for (const block of blocks) writePage(file, block, Buffer.alloc(pageSize));
  });
}

/**
 * Disorder in an index, the table being sound, so that REINDEX repairs it. `order`: entries of a leaf change places
 * under a valid checksum, which only amcheck finds. `garbage`: the checksum fails.
 */
export async function damageIndex(
  cluster: Cluster,
  index: string,
  how: 'order' | 'garbage' = 'order',
  options: DamageOptions = {},
): Promise<void> {
  await onFile(cluster, index, options, (file) => {
    const leaf = [...pages(file)].find(({ page }) => isBtreeLeaf(page) && linePointers(page) >= 6);
    if (!leaf) throw new Error(`${index} has no leaf page with enough entries to damage`);
    if (how === 'garbage') return writePage(file, leaf.block, Buffer.alloc(pageSize, 0xa5));
    // Not the first entry: there it may be the high key of the page.
    swapLinePointers(leaf.page, 2, linePointers(leaf.page) - 2);
    seal(leaf.page, leaf.block);
    writePage(file, leaf.block, leaf.page);
  });
}

export async function dropTable(cluster: Cluster, table: string): Promise<void> {
  await cluster.asApp(`DROP TABLE ${table} CASCADE`);
}

/**
 * The UPDATE without WHERE. Returns when it was committed, as the database's clock tells it: a good target is before
 * that.
 */
export async function wrongData(cluster: Cluster): Promise<{ before: Date; rows: number }> {
  const [moment] = await cluster.sql<{ before: Date }>('SELECT clock_timestamp() AS before');
  const [changed] = await cluster.asApp<{ rows: number }>(
    'WITH changed AS (UPDATE orders SET total = -1 RETURNING 1) SELECT count(*)::int AS rows FROM changed',
  );
  return { before: moment!.before, rows: changed!.rows };
}

async function onFile(
  cluster: Cluster,
  relation: string,
  options: DamageOptions,
  damage: (file: number) => void,
): Promise<void> {
  await cluster.sql('CHECKPOINT');
  const [found] = await cluster.sql<{ path: string | null }>('SELECT pg_relation_filepath($1::regclass) AS path', [
    relation,
  ]);
  if (!found?.path) throw new Error(`${relation} has no file`);
  if (!options.running) await cluster.stop();
  const file = openSync(join(cluster.dataDirectory, found.path), 'r+');
  try {
    damage(file);
    fsyncSync(file);
  } finally {
    closeSync(file);
    if (!options.running) await cluster.start();
  }
}

function* pages(file: number): Generator<{ block: number; page: Buffer }> {
  const count = fstatSync(file).size / pageSize;
  for (let block = 0; block < count; block += 1) {
    const page = Buffer.alloc(pageSize);
    readSync(file, page, 0, pageSize, block * pageSize);
    yield { block, page };
  }
}

function writePage(file: number, block: number, page: Buffer): void {
  if ((block + 1) * pageSize > fstatSync(file).size) throw new Error(`the relation has no block ${block}`);
  writeSync(file, page, 0, pageSize, block * pageSize);
}
