import type { Capability } from '../../capability.js';
import type { HostContext } from '../../context.js';
import { failure } from '../../errors.js';
import { inTurn } from '../../in-turn.js';
import type { BackupRecord } from '../../../vocabulary/backup.js';
import type { RestoreRequest, RestoreResult } from '../../../vocabulary/backup-work.js';
import { fromFirstSound, listEverywhere, picks } from '../all-locations.js';
import { repositoryOf } from '../restic/repository.js';
import { restoreSnapshot } from '../restic/restore.js';
import { intoDirectory, refuseUsed } from '../restore-into.js';
import { filesOf } from './plan.js';
import { swapPaths } from './path-swap.js';

/**
 * Restores files for a person: below a directory of their own, or in the place of what is there, which is renamed
 * aside.
 */
export function restoreFiles(context: HostContext): Capability<RestoreRequest, RestoreResult> {
  return {
    async rehearse(request) {
      const [record] = await recordsFor(context, request);
      if (request.into) await refuseUsed(request.into);
      return {
        summary: `${record.id} could be restored from ${record.location}`,
        into: request.into ?? '',
        seconds: 0,
      };
    },
    execute: (request) => inTurn(`restore files ${request.run}`, () => restore(context, request)),
  };
}

async function restore(context: HostContext, request: RestoreRequest): Promise<RestoreResult> {
  const began = Date.now();
  const seconds = () => Math.round((Date.now() - began) / 100) / 10;
  const records = await recordsFor(context, request);
  const from = async (record: BackupRecord, target: string, path?: string): Promise<void> => {
    const repository = await repositoryOf(context, record.location);
    const only = path === undefined ? {} : { path };
    await restoreSnapshot(repository, {
      id: record.snapshot!,
      target,
      ledger: `restore-${request.component}`,
      ...only,
    });
  };
  const { into } = request;
  if (into) {
    const { record, told } = await fromFirstSound(records, (record) =>
      intoDirectory(context, into, request.run, (target) => from(record, target)),
    );
    const summary = `${record.id} from ${record.location} is below ${into}, each file under its whole path${told}`;
    return { summary, into, seconds: seconds() };
  }
  const all = filesOf(context, request.component).paths;
  // What lies below another path comes with it.
  const paths = [...new Set(all)].filter((path) => !all.some((other) => path.startsWith(`${other}/`)));
  let aside: string[] = [];
  const { record, told } = await fromFirstSound(records, async (record) => {
    aside = await swapPaths(context, paths, request.run, (path, target) => from(record, target, path));
  });
  return {
    summary: `${record.id} from ${record.location} is in place: ${paths.join(', ')}${aside.length > 0 ? `; the old is kept: ${aside.join(', ')}` : ''}${told}`,
    into: paths.join(', '),
    ...(aside.length > 0 ? { aside: aside.join(', ') } : {}),
    seconds: seconds(),
  };
}

async function recordsFor(context: HostContext, request: RestoreRequest): Promise<[BackupRecord, ...BackupRecord[]]> {
  const { locations } = filesOf(context, request.component);
  if (!request.id || request.file) {
    throw failure(
      'BadRequest',
      'files are restored from a backup, and no ID is given',
      'See which there are: lifeboat backup list',
    );
  }
  if (!request.into && !request.dropExisting) {
    throw failure(
      'BadRequest',
      'it is not said where to',
      'Say --into DIRECTORY, or --drop-existing to take the place of what is there',
    );
  }
  if (request.into && !request.into.startsWith('/')) {
    throw failure('BadRequest', `${request.into} is no absolute path`, 'Say the whole path: --into /srv/restored');
  }
  return picks(
    await listEverywhere(context, 'files', request.component, locations),
    request.id,
    request.location,
    locations,
  );
}
