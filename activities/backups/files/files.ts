import { lstat, readlink } from 'node:fs/promises';
import type { Capability } from '../../capability.js';
import type { HostContext } from '../../context.js';
import { failure } from '../../errors.js';
import type { BackupResult, TakeRequest } from '../../../vocabulary/backup-work.js';
import { couldTake, listEverywhere, takeEverywhere } from '../all-locations.js';
import type { BackupProvider } from '../provider.js';
import { removeSnapshots } from '../restic/remove.js';
import { repositoryOf } from '../restic/repository.js';
import { restoreSnapshot } from '../restic/restore.js';
import { takeSnapshot } from '../restic/take.js';
import { verifySnapshots } from '../restic/verify.js';
import { couldTestRestore, testRestoreOf } from '../test-restore.js';
import { filesOf } from './plan.js';
import { restoreFiles } from './restore.js';

/** Directories and files of a host, by restic: uploads, configuration, .env, certificates. */
export const files: BackupProvider = {
  kind: 'files',
  take: takeFiles,
  list: (context, component) => listEverywhere(context, 'files', component, filesOf(context, component).locations),
  verify: (context) => {
    const look = (request: Parameters<typeof verifySnapshots>[2]) =>
      verifySnapshots(context, 'files', request, filesOf(context, request.component).locations);
    return { rehearse: look, execute: look };
  },
  testRestore: (context) => ({
    rehearse: (request) => couldTestRestore(context, 'files', request),
    execute: (request) =>
      testRestoreOf(context, 'files', request, async (record, target) => {
        const repository = await repositoryOf(context, record.location);
        const found = await restoreSnapshot(repository, {
          id: record.snapshot!,
          target,
          ledger: `test-${request.component}`,
        });
        const doubts =
          record.dataBytes === undefined || record.dataBytes === found.bytes
            ? []
            : [`${found.bytes} bytes, not ${record.dataBytes}`];
        return {
          bytes: found.bytes,
          doubts,
          says: `${found.entries} files and directories of ${found.bytes} bytes, every file compared`,
        };
      }),
  }),
  restore: restoreFiles,
  remove: (context, component, location, ids) => removeSnapshots(context, 'files', component, location, ids),
  keep: (context, component) => filesOf(context, component).keep,
};

function takeFiles(context: HostContext): Capability<TakeRequest, BackupResult> {
  const asked = (request: TakeRequest) => ({
    ...request,
    kind: 'files' as const,
    locations: filesOf(context, request.component).locations,
  });
  return {
    async rehearse(request) {
      const doubts = await missingPaths(context, request.component);
      return couldTake(context, asked(request), doubts);
    },
    async execute(request) {
      const { paths, exclude } = filesOf(context, request.component);
      const missing = await missingPaths(context, request.component);
      if (missing.length > 0) {
        // An empty backup would look like a good one, until it is needed.
        throw failure(
          'BadRequest',
          `files ${request.component} cannot be backed up: ${missing.join('; ')}`,
          'Is a disk not mounted? Else correct the plan.',
        );
      }
      return takeEverywhere(context, asked(request), (location, backup) =>
        takeSnapshot(context, location, {
          ...backup,
          kind: 'files',
          component: request.component,
          run: request.run,
          paths,
          exclude,
        }),
      );
    },
  };
}

/**
 * A line for each path of the plan that has nothing to back up. A link is one: restic would keep the link and not what
 * it leads to.
 */
async function missingPaths(context: HostContext, component: string): Promise<string[]> {
  const { paths, host } = filesOf(context, component);
  if (host !== context.host) {
    throw failure(
      'BadRequest',
      `files ${component} are on ${host}, and this is ${context.host}`,
      'Give every host the same plan file.',
    );
  }
  const missing: string[] = [];
  for (const path of paths) {
    const found = await lstat(path).catch((error: unknown) => error as NodeJS.ErrnoException);
    if (found instanceof Error)
      missing.push(`${path} ${found.code === 'ENOENT' ? 'is not there' : `cannot be read (${found.code ?? ''})`}`);
    else if (found.isSymbolicLink())
      missing.push(`${path} is a link to ${await readlink(path)}: name that in the plan`);
  }
  return missing;
}
