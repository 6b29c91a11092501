import { join } from 'node:path';
import { rm } from 'node:fs/promises';
import type { Capability } from '../../capability.js';
import { checkpoint } from '../../checkpoint.js';
import type { HostContext } from '../../context.js';
import { failure } from '../../errors.js';
import { fileBytes, treeBytes } from '../../files.js';
import { inTurn } from '../../in-turn.js';
import type { Location } from '../../locations/location.js';
import { withLocation } from '../../locations/open.js';
import { run } from '../../run.js';
import type { BackupRecord } from '../../../vocabulary/backup.js';
import type { BackupResult, TakeRequest } from '../../../vocabulary/backup-work.js';
import { couldTake, listEverywhere, takeEverywhere } from '../all-locations.js';
import { keepFile, type KeptFile } from '../kept-files.js';
import type { BackupProvider } from '../provider.js';
import { backupPrefix, recordName, writeRecord } from '../record.js';
import { couldTestRestore, testRestoreOf } from '../test-restore.js';
import { git } from './git.js';
import { type Bundle, bundleOf } from './mirror.js';
import { codeOf } from './plan.js';
import { cloneAll, restoreCode } from './restore.js';
import { verifyCode } from './verify.js';

/** Git repositories: a bundle of each, with all branches, tags and history, that `git clone` reads without Lifeboat. */
export const code: BackupProvider = {
  kind: 'code',
  take: takeCode,
  list: (context, component) => listEverywhere(context, 'code', component, codeOf(context, component).locations),
  verify: (context) => ({
    rehearse: (request) => verifyCode(context, request),
    execute: (request) => verifyCode(context, request),
  }),
  testRestore: (context) => ({
    rehearse: (request) => couldTestRestore(context, 'code', request),
    execute: (request) =>
      testRestoreOf(context, 'code', request, async (record, directory) => {
        const doubts = await cloneAll(context, record, directory);
        return {
          bytes: await treeBytes(directory),
          doubts,
          says: `${record.files.length} repositories cloned and checked by git fsck`,
        };
      }),
  }),
  restore: restoreCode,
  async remove(context, component, name, ids) {
    await withLocation(context, name, async (location) => {
      for (const id of ids) {
        const of = { system: context.plan.system, kind: 'code' as const, component, id };
        await location.remove(recordName(of));
        for (const file of await location.list(backupPrefix(of))) await location.remove(file.name);
        await location.removeUnfinished(backupPrefix(of));
      }
    });
  },
  keep: (context, component) => codeOf(context, component).keep,
};

function takeCode(context: HostContext): Capability<TakeRequest, BackupResult> {
  const asked = (request: TakeRequest) => ({
    ...request,
    kind: 'code' as const,
    locations: codeOf(context, request.component).locations,
  });
  return {
    async rehearse(request) {
      const doubts: string[] = [];
      for (const [repository, url] of Object.entries(hereOf(context, request.component).repositories)) {
        await git(context, ['ls-remote', '--quiet', '--', url, 'HEAD']).catch((error: unknown) =>
          doubts.push(`${repository}: ${(error as Error).message}`),
        );
      }
      return couldTake(context, asked(request), doubts);
    },
    execute: (request) =>
      inTurn(`code ${request.component}`, async () => {
        const { repositories } = hereOf(context, request.component);
        const names = Object.keys(repositories);
        // Bundled once for all locations, and only when one of them has not got it yet.
        let bundled: Promise<Bundle[]> | undefined;
        let empty: string[] = [];
        const bundles = () =>
          (bundled ??= (async () => {
            const made: Bundle[] = [];
            for (const name of names)
              made.push(
                ...[await bundleOf(context, request.component, name, repositories[name]!)].filter(
                  (one) => one !== undefined,
                ),
              );
            empty = names.filter((name) => !made.some(({ repository }) => repository === name));
            return made;
          })());
        try {
          return await takeEverywhere(
            context,
            asked(request),
            async (location, backup) =>
              takeAt(context, location, { ...backup, run: request.run, component: request.component }, await bundles()),
            () => (empty.length > 0 ? `; empty, so without a bundle: ${empty.join(', ')}` : ''),
          );
        } finally {
          for (const name of names)
            await rm(join(context.state, 'code', request.component, `${name}.bundle`), { force: true });
        }
      }),
  };
}

async function takeAt(
  context: HostContext,
  location: Location,
  { id, began, run: by, component }: { id: string; began: Date; run: string; component: string },
  bundles: Bundle[],
): Promise<BackupRecord> {
  const started = Date.now();
  const of = { system: context.plan.system, kind: 'code' as const, component, id };
  // What an attempt that was killed has left of this very backup.
  await location.removeUnfinished(backupPrefix(of));
  const files: KeptFile[] = [];
  let dataBytes = 0;
  for (const { repository, path } of bundles) {
    dataBytes += await fileBytes(path);
    await checkpoint('before a bundle is kept');
    files.push(await keepFile(context, location, `${backupPrefix(of)}${repository}.bundle`, path));
    await checkpoint('after a bundle is kept');
  }
  const record: BackupRecord = {
    ...of,
    type: 'code',
    timestamp: began.toISOString(),
    database: component,
    location: location.name,
    size: files.reduce((sum, { bytes }) => sum + bytes, 0),
    dataBytes,
    // Objects in a bundle are compressed each for itself.
    compression: 'none',
    encryption: context.plan.locations[location.name]?.encryption ? 'age' : 'none',
    files,
    refs: Object.fromEntries(bundles.map(({ repository, sha256 }) => [repository, sha256])),
    tools: { git: /git version (\S+)/.exec((await run('git', ['--version'])).stdout)?.[1] ?? 'unknown' },
    seconds: Math.round((Date.now() - started) / 100) / 10,
    run: by,
    verified: { at: new Date().toISOString() },
  };
  await writeRecord(location, record);
  await checkpoint('after the record of a backup');
  return record;
}

function hereOf(context: HostContext, component: string) {
  const plan = codeOf(context, component);
  if (plan.host === context.host) return plan;
  throw failure(
    'BadRequest',
    `code ${component} is fetched by ${plan.host}, and this is ${context.host}`,
    'Give every host the same plan file.',
  );
}
