import type { Capability } from '../../capability.js';
import type { HostContext } from '../../context.js';
import { failure } from '../../errors.js';
import { inTurn } from '../../in-turn.js';
import type { BackupRecord, RestoreRequest, RestoreResult } from '../../../workflows/messages.js';
import { listEverywhere, pick } from '../everywhere.js';
import { repositoryOf } from '../restic/repository.js';
import { restoreSnapshot } from '../restic/restore.js';
import { intoDirectory, refuseUsed } from '../restore-into.js';
import { filesOf } from './plan.js';
import { swapPaths } from './swap.js';

/** Restores files for a person: below a directory of their own, or in the place of what is there, which is renamed aside. */
export function restoreFiles(context: HostContext): Capability<RestoreRequest, RestoreResult> {
  return {
    async rehearse(request) {
      const record = await recordFor(context, request);
      if (request.into) await refuseUsed(request.into);
      return { summary: `${record.id} could be restored from ${record.location}`, into: request.into ?? '', seconds: 0 };
    },
    execute: (request) => inTurn(`restore files ${request.run}`, () => restore(context, request)),
  };
}

async function restore(context: HostContext, request: RestoreRequest): Promise<RestoreResult> {
  const began = Date.now();
  const seconds = () => Math.round((Date.now() - began) / 100) / 10;
  const record = await recordFor(context, request);
  const repository = await repositoryOf(context, record.location);
  const ledger = `restore-${request.component}`;
  if (request.into) {
    await intoDirectory(context, request.into, request.run, (target) =>
      restoreSnapshot(repository, { id: record.snapshot!, target, ledger }).then(() => undefined),
    );
    return {
      summary: `${record.id} from ${record.location} is below ${request.into}, each file under its whole path`,
      into: request.into,
      seconds: seconds(),
    };
  }
  const all = filesOf(context, request.component).paths;
  // What lies below another path comes with it.
  const paths = [...new Set(all)].filter((path) => !all.some((other) => path.startsWith(`${other}/`)));
  const aside = await swapPaths(context, paths, request.run, (path, target) =>
    restoreSnapshot(repository, { id: record.snapshot!, target, ledger, path }).then(() => undefined),
  );
  return {
    summary: `${record.id} from ${record.location} is in place: ${paths.join(', ')}${aside.length > 0 ? `; the old is kept: ${aside.join(', ')}` : ''}`,
    into: paths.join(', '),
    ...(aside.length > 0 ? { aside: aside.join(', ') } : {}),
    seconds: seconds(),
  };
}

async function recordFor(context: HostContext, request: RestoreRequest): Promise<BackupRecord> {
  const { locations } = filesOf(context, request.component);
  if (!request.id || request.file) {
    throw failure('BadRequest', 'files are restored from a backup, and no ID is given', 'See which there are: lifeboat backup list');
  }
  if (!request.into && !request.dropExisting) {
    throw failure('BadRequest', 'it is not said where to', 'Say --into DIRECTORY, or --drop-existing to take the place of what is there');
  }
  if (request.into && !request.into.startsWith('/')) {
    throw failure('BadRequest', `${request.into} is no absolute path`, 'Say the whole path: --into /srv/restored');
  }
  return pick(await listEverywhere(context, 'files', request.component, locations), request.id, request.location, locations);
}
