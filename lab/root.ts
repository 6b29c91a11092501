import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The checkout, whether this runs as lab/*.ts (tests) or as dist/lab/*.js (the demo). */
export const checkout = findUp(dirname(fileURLToPath(import.meta.url)));

/** The command-line client as it was built; the lab runs what users run. */
export const cliEntry = join(checkout, 'dist', 'client', 'cli.js');

function findUp(directory: string): string {
  if (existsSync(join(directory, 'package.json'))) return directory;
  if (directory === dirname(directory)) throw new Error('no package.json above the lab');
  return findUp(dirname(directory));
}
