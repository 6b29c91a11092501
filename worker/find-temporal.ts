import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { CannotStart } from './cannot-start.js';

/** The `temporal` program: on PATH, else where the set-up keeps it. Throws a sentence when it is nowhere. */
export async function findTemporal(): Promise<string> {
  const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'lifeboat/bin');
  for (const folder of [...(process.env['PATH'] ?? '').split(':'), cache]) {
    const path = join(folder, 'temporal');
    if (
      await access(path, constants.X_OK).then(
        () => true,
        () => false,
      )
    )
      return path;
  }
  throw new CannotStart(
    'The temporal program is not on this machine.',
    'Install it with: npm run setup (or from temporal.io), or set TEMPORAL_ADDRESS to a Temporal that runs.',
  );
}
