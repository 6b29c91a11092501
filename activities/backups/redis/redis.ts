import { mkdir, readdir } from 'node:fs/promises';
import type { Capability } from '../../capability.js';
import type { HostContext } from '../../context.js';
import { failure } from '../../errors.js';
import { move, removeTree } from '../../files.js';
import { inTurn } from '../../in-turn.js';
import { run } from '../../run.js';
import type { BackupRecord } from '../../../vocabulary/backup.js';
import type { BackupResult, RestoreRequest, RestoreResult, TakeRequest } from '../../../vocabulary/backup-work.js';
import { couldTake, fromFirstSound, listEverywhere, picks, takeEverywhere } from '../all-locations.js';
import type { BackupProvider } from '../provider.js';
import { removeSnapshots } from '../restic/remove.js';
import { type Repository, repositoryOf } from '../restic/repository.js';
import { restoreSnapshot } from '../restic/restore.js';
import type { Snapshot } from '../restic/snapshots.js';
import { takeSnapshot } from '../restic/take.js';
import { verifySnapshots } from '../restic/verify.js';
import { intoDirectory, refuseUsed } from '../restore-into.js';
import { couldTestRestore, scratchDirectory, testRestoreOf } from '../test-restore.js';
import { type Ask, redisClient } from './client.js';
import { redisOf } from './plan.js';
import { checkRdb, loadRdb, onlyFile } from './rdb.js';
import { keepAofOn, rdbFile, save } from './rdb-save.js';

/**
 * A Redis server: its RDB file, written by BGSAVE, in restic; its AOF is kept on, so that a restart of the server
 * itself loses a second at most. Nothing else waits for it: the loss of a cache never blocks a recovery.
 */
export const redis: BackupProvider = {
  kind: 'redis',
  take: takeRedis,
  list: (context, component) => listEverywhere(context, 'redis', component, redisOf(context, component).locations),
  verify: (context) => {
    const look = (request: Parameters<typeof verifySnapshots>[2]) =>
      verifySnapshots(context, 'redis', request, redisOf(context, request.component).locations);
    return { rehearse: look, execute: look };
  },
  testRestore: (context) => ({
    rehearse: (request) => couldTestRestore(context, 'redis', request),
    execute: (request) =>
      testRestoreOf(context, 'redis', request, async (record, target) => {
        const repository = await repositoryOf(context, record.location);
        const { bytes } = await restoreSnapshot(repository, {
          id: record.snapshot!,
          target,
          ledger: `test-${request.component}`,
        });
        const { directory, file } = await onlyFile(target);
        const { keys, expires } = await checkRdb(`${directory}/${file}`);
        const loaded = await loadRdb(context, directory, file);
        const was = record.rows?.['keys'];
        const doubts = [
          ...(typeof was === 'number' && was !== keys
            ? [`the file has ${keys} keys, and had ${was} when it was taken`]
            : []),
          // A server that loads it drops the keys whose time is over.
          ...(loaded > keys || loaded < keys - expires
            ? [`a server that loaded it has ${loaded} keys, of ${keys} in the file`]
            : []),
        ];
        return { bytes, doubts, says: `a server loaded ${loaded} keys of it` };
      }),
  }),
  restore: restoreRedis,
  remove: (context, component, location, ids) => removeSnapshots(context, 'redis', component, location, ids),
  keep: (context, component) => redisOf(context, component).keep,
};

function takeRedis(context: HostContext): Capability<TakeRequest, BackupResult> {
  const asked = (request: TakeRequest) => ({
    ...request,
    kind: 'redis' as const,
    locations: redisOf(context, request.component).locations,
  });
  return {
    async rehearse(request) {
      const why = await rdbFile(askHere(context, request.component)).then(
        () => [],
        (error: unknown) => [(error as Error).message],
      );
      return couldTake(context, asked(request), why);
    },
    async execute(request) {
      const { component } = request;
      const ask = askHere(context, component);
      let note = '';
      // Saved once for all locations, and only when one of them has not got it yet.
      let saved: Promise<string> | undefined;
      const rdb = () =>
        (saved ??= (async () => {
          note = await keepAofOn(ask);
          return save(ask, `Redis ${component}`);
        })());
      return takeEverywhere(
        context,
        asked(request),
        async (location, backup) =>
          takeSnapshot(context, location, {
            ...{ ...backup, kind: 'redis', component, run: request.run, paths: [await rdb()], exclude: [] },
            tools: { redis: await redisVersion() },
            prove: (repository, snapshot) => readBack(context, repository, snapshot, component),
          }),
        () => (note ? `; ${note}` : ''),
      );
    },
  };
}

function askHere(context: HostContext, component: string): Ask {
  const { host } = redisOf(context, component);
  if (host === context.host) return redisClient(context, component);
  throw failure(
    'BadRequest',
    `Redis ${component} runs on ${host}, and this is ${context.host}`,
    'Give every host the same plan file.',
  );
}

async function redisVersion(): Promise<string> {
  const { stdout } = await run('redis-cli', ['--version']);
  return /redis-cli (\S+)/.exec(stdout)?.[1] ?? 'unknown';
}

/**
 * The file is read back whole from the location, and checked as Redis checks it: that is also how many keys it holds.
 */
async function readBack(
  context: HostContext,
  repository: Repository,
  { id }: Snapshot,
  component: string,
): Promise<Pick<BackupRecord, 'rows' | 'verified'>> {
  const target = scratchDirectory(context, `redis-${component}-${repository.location}-taken`);
  await removeTree(target);
  try {
    await restoreSnapshot(repository, { id, target, ledger: `read-back-${component}` });
    const { directory, file } = await onlyFile(target);
    return {
      rows: { keys: (await checkRdb(`${directory}/${file}`)).keys },
      verified: { at: new Date().toISOString() },
    };
  } finally {
    await removeTree(target);
  }
}

function restoreRedis(context: HostContext): Capability<RestoreRequest, RestoreResult> {
  return {
    async rehearse(request) {
      const [record] = await recordsFor(context, request);
      await refuseUsed(request.into!);
      return { summary: `${record.id} could be restored from ${record.location}`, into: request.into!, seconds: 0 };
    },
    execute: (request) =>
      inTurn(`restore redis ${request.run}`, async () => {
        const began = Date.now();
        const into = request.into!;
        const from = (record: BackupRecord) =>
          intoDirectory(context, into, request.run, async (target) => {
            const repository = await repositoryOf(context, record.location);
            const whole = `${target}.whole`;
            await removeTree(whole);
            await restoreSnapshot(repository, {
              id: record.snapshot!,
              target: whole,
              ledger: `restore-${request.component}`,
            });
            const found = await onlyFile(whole);
            await checkRdb(`${found.directory}/${found.file}`);
            await mkdir(target, { mode: 0o700 });
            await move(`${found.directory}/${found.file}`, `${target}/${found.file}`, 'the naming of an RDB file');
            await removeTree(whole);
          });
        const { record, told } = await fromFirstSound(await recordsFor(context, request), from);
        const [file] = await readdir(into);
        return {
          summary: `${record.id} from ${record.location} is in ${into}. Start Redis on it: redis-server --dir '${into}' --dbfilename '${file}' --appendonly no; once it runs: redis-cli CONFIG SET appendonly yes${told}`,
          into,
          seconds: Math.round((Date.now() - began) / 100) / 10,
        };
      }),
  };
}

async function recordsFor(
  context: HostContext,
  { component, id, into, location, dropExisting }: RestoreRequest,
): Promise<[BackupRecord, ...BackupRecord[]]> {
  const { locations } = redisOf(context, component);
  if (dropExisting || !into?.startsWith('/')) {
    throw failure(
      'BadRequest',
      dropExisting ? 'a running Redis server cannot be given an RDB file' : 'it is not said where to',
      'Restore it with --into DIRECTORY (an absolute path), stop the server, and start it on that file; or let the application fill it again.',
    );
  }
  if (!id) throw failure('BadRequest', 'no ID is given', 'See which there are: lifeboat backup list');
  return picks(await listEverywhere(context, 'redis', component, locations), id, location, locations);
}
