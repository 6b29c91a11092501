import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { progress } from '../../capability.js';
import type { Capability } from '../../capability.js';
import type { HostContext } from '../../context.js';
import { failure } from '../../errors.js';
import { inTurn } from '../../in-turn.js';
import { withLocation } from '../../locations/open.js';
import type { BackupRecord } from '../../../vocabulary/backup.js';
import type { RestoreRequest, RestoreResult } from '../../../vocabulary/backup-work.js';
import { fromFirstSound, listEverywhere, picks } from '../all-locations.js';
import { fetchFile } from '../kept-files.js';
import { intoDirectory, refuseUsed } from '../restore-into.js';
import { git, refsOf } from './git.js';
import { codeOf } from './plan.js';

/**
 * Clones every repository of a backup into a directory, one folder for each, all branches and tags as they were.
 * Returns what differs.
 */
export async function cloneAll(context: HostContext, record: BackupRecord, directory: string): Promise<string[]> {
  const doubts: string[] = [];
  const { repositories } = codeOf(context, record.component);
  await mkdir(directory, { recursive: true, mode: 0o755 });
  for (const file of record.files) {
    const repository = repositoryIn(file.name);
    const bundle = join(directory, `${repository}.bundle`);
    const clone = join(directory, repository);
    progress({ what: `restoring ${repository} from ${record.location}` });
    await withLocation(context, record.location, (location) => fetchFile(context, location, file, bundle));
    const ledger = `clone-${record.component}-${repository}`;
    await git(context, ['clone', '--quiet', '--', bundle, clone], { ledger });
    await git(context, ['-C', clone, 'fetch', '--quiet', '--force', '--update-head-ok', bundle, '+refs/*:refs/*'], {
      ledger,
    });
    // What a clone makes up of the branches of its origin.
    await git(context, ['-C', clone, 'remote', 'remove', 'origin']);
    await rm(bundle);
    await git(context, ['-C', clone, 'fsck', '--full', '--no-dangling', '--no-progress'], { ledger });
    const found = await refsOf(context, clone);
    if (found.sha256 !== record.refs?.[repository])
      doubts.push(`${repository} has other branches and tags than when it was taken`);
    const url = repositories[repository];
    if (url) await git(context, ['-C', clone, 'remote', 'add', '--', 'origin', url]);
  }
  return doubts;
}

/** `.../20261121T020000Z/app.bundle.age`: app. */
export const repositoryIn = (file: string): string =>
  file.slice(file.lastIndexOf('/') + 1).replace(/\.bundle(\.age)?$/, '');

export function restoreCode(context: HostContext): Capability<RestoreRequest, RestoreResult> {
  return {
    async rehearse(request) {
      const [record] = await recordsFor(context, request);
      await refuseUsed(request.into!);
      return { summary: `${record.id} could be restored from ${record.location}`, into: request.into!, seconds: 0 };
    },
    execute: (request) =>
      inTurn(`restore code ${request.run}`, async () => {
        const began = Date.now();
        const into = request.into!;
        const { record, told } = await fromFirstSound(await recordsFor(context, request), (record) =>
          intoDirectory(context, into, request.run, async (target) => {
            const doubts = await cloneAll(context, record, target);
            if (doubts.length > 0)
              throw failure('BackupDamaged', doubts.join('; '), 'Take another backup: lifeboat backup list');
          }),
        );
        const names = record.files.map(({ name }) => repositoryIn(name)).join(', ');
        const seconds = Math.round((Date.now() - began) / 100) / 10;
        return {
          summary: `${record.id} from ${record.location} is in ${into}: ${names || 'every repository was empty'}${told}`,
          into,
          seconds,
        };
      }),
  };
}

async function recordsFor(
  context: HostContext,
  { component, id, into, location }: RestoreRequest,
): Promise<[BackupRecord, ...BackupRecord[]]> {
  const { locations } = codeOf(context, component);
  if (!into?.startsWith('/')) {
    throw failure(
      'BadRequest',
      'code is restored into a new directory, and none is given',
      'Say --into DIRECTORY, an absolute path.',
    );
  }
  if (!id) throw failure('BadRequest', 'no ID is given', 'See which there are: lifeboat backup list');
  return picks(await listEverywhere(context, 'code', component, locations), id, location, locations);
}
