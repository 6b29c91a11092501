import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Readable } from 'node:stream';
import { cancelled } from '../../capability.js';
import { failure } from '../../errors.js';
import { exists, writeWhole } from '../../files.js';
import { inTurn } from '../../in-turn.js';
import type { Location } from '../../locations/location.js';
import { withLocation } from '../../locations/open.js';
import { inRepository, type Repository } from './repository.js';
import { restic } from './restic.js';

const seenFile = ({ home }: Repository) => join(home, 'seen');

/**
 * Whether the location has the repository. One that this host has seen before and is gone is a disk that is not
 * mounted: LocationUnreachable.
 */
export async function hasRepository(repository: Repository, location: Location): Promise<boolean> {
  if (await location.find(inRepository('config'))) {
    if (!(await exists(seenFile(repository)))) await writeWhole(seenFile(repository), '');
    return true;
  }
  if (await exists(seenFile(repository))) throw gone(repository, 'it was there before');
  if ((await location.list(inRepository('snapshots/'))).length > 0)
    throw gone(repository, 'snapshots are there, and restic/config is not');
  return false;
}

const gone = ({ location, context: { host } }: Repository, why: string) =>
  failure(
    'LocationUnreachable',
    `the restic repository at ${location} is not there any more (${why}); it is not made anew, so that a missing mount is not filled by mistake`,
    `Is the right disk mounted on ${host}, the right bucket named? When it is lost for good, remove restic/${location}/seen below the state directory of the agent.`,
  );

/**
 * Makes the repository unless it is there. Several hosts may come to a new location at once: only one of them makes it.
 */
export async function ensureRepository(repository: Repository): Promise<void> {
  await inTurn(`restic init ${repository.home}`, () =>
    withLocation(repository.context, repository.location, async (location) => {
      if (await hasRepository(repository, location)) return;
      await alone(repository, location, async () => {
        if (await hasRepository(repository, location)) return;
        // Of a run that was killed while it made it; newer restics refuse to go on with them.
        for (const { name } of await location.list(inRepository('keys/'))) await location.remove(name);
        await restic(repository, ['init'], { ledger: 'init', unlocked: true });
      });
      if (!(await hasRepository(repository, location))) throw gone(repository, 'restic has just made it');
    }),
  );
}

/** After this, a claim is of a host that died. */
const claimFor = 5 * 60_000;

/**
 * `restic init` is no single step: two hosts at it together would leave a repository with two keys that do not fit. So
 * each says that it wants to, looks whether another one does, and if so steps back: whoever looks second has seen the
 * first.
 */
async function alone({ context }: Repository, location: Location, work: () => Promise<void>): Promise<void> {
  const own = `restic-init/${context.host}`;
  for (;;) {
    await location.put(own, Readable.from([context.host]));
    try {
      const others = (await location.list('restic-init/')).filter(
        ({ name, modifiedAt }) => name !== own && Date.now() - modifiedAt < claimFor,
      );
      if (others.length === 0) {
        await work();
        return;
      }
    } finally {
      await location.remove(own);
    }
    await pause(500 + Math.random() * 2000, undefined, { signal: cancelled() });
  }
}
