import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { progress } from '../capability.js';
import { openRegular } from '../files.js';

const page = 8192;
const zero = Buffer.alloc(page);

/**
 * Finds pages of nothing but zeros that have written pages after them. A zero page is valid to checksums, amcheck and PostgreSQL alike, which
 * read it as an empty one: a restore with holes "succeeds" (wal-g#1723). Returns `base/5/16390: 2 zero pages`, a line for each file.
 * The server must be stopped.
 */
export async function zeroPages(dataDirectory: string, databaseOid: number, heapFiles: Set<string>): Promise<string[]> {
  const folder = join(dataDirectory, 'base', String(databaseOid));
  const found: string[] = [];
  const files = (await readdir(folder)).filter((file) => heapFiles.has(file.replace(/\.\d+$/, '')) && /^\d+(\.\d+)?$/.test(file));
  for (const [at, file] of files.entries()) {
    progress({ what: 'looking for zero pages', percent: Math.round((100 * at) / files.length) });
    const holes = await holesIn(join(folder, file));
    if (holes > 0) found.push(`base/${databaseOid}/${file}: ${holes} zero ${holes === 1 ? 'page' : 'pages'}`);
  }
  return found;
}

async function holesIn(path: string): Promise<number> {
  const file = await openRegular(path);
  try {
    const chunk = Buffer.alloc(page * 128);
    let holes = 0;
    let pending = 0;
    for (;;) {
      const { bytesRead } = await file.read(chunk, 0, chunk.length, null);
      if (bytesRead === 0) return holes;
      for (let at = 0; at + page <= bytesRead; at += page) {
        // Zero pages at the end are ordinary: a relation is extended before it is written.
        if (chunk.compare(zero, 0, page, at, at + page) === 0) pending += 1;
        else {
          holes += pending;
          pending = 0;
        }
      }
    }
  } finally {
    await file.close();
  }
}
