import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The checkout, whether this runs as lab/*.ts (tests) or as dist/lab/*.js (the demo). */
export const checkout = findUp(dirname(fileURLToPath(import.meta.url)));

/** The command-line client as it was built; the lab runs what users run. */
export const cliEntry = join(checkout, 'dist', 'client', 'cli.js');

/**
 * What Node has compiled once serves every process of every lab: each starts a dozen of the same code. It lies in the
 * checkout: a demo leaves nothing in /tmp.
 */
export const compiled = { NODE_COMPILE_CACHE: join(checkout, 'node_modules/.cache/lifeboat') };

function findUp(directory: string): string {
  if (existsSync(join(directory, 'package.json'))) return directory;
  if (directory === dirname(directory)) throw new Error('no package.json above the lab');
  return findUp(dirname(directory));
}
