import { join } from 'node:path';
import { checkpoint } from '../checkpoint.js';
import type { HostContext } from '../context.js';
import { failure } from '../errors.js';
import { removeTree } from '../files.js';
import { inTurn } from '../in-turn.js';
import { withLocation } from '../locations/open.js';
import type { BackupRecord, BackupKind } from '../../vocabulary/backup.js';
import type { TestRestoreRequest, TestRestoreResult } from '../../vocabulary/backup-work.js';
import { readRecords, writeRecord } from './record.js';

/**
 * Where copies are restored to be looked at: below the scratch directory of the host, else in the agent's own state.
 */
export const scratchDirectory = (context: HostContext, name: string): string =>
  join(
    context.plan.hosts[context.host]?.scratch ?? context.state,
    `lifeboat-scratch-${context.plan.system}-${name.replace(/[^\w.-]/g, '_')}`,
  );

/**
 * Restores a backup to scratch, lets `prove` look at it, removes the copy, and notes in the record how fast it was.
 * `prove` puts the copy into the directory that it is given, which is empty, and returns its size and what is not as it
 * should be.
 */
export async function testRestoreOf(
  context: HostContext,
  kind: BackupKind,
  request: TestRestoreRequest,
  prove: (record: BackupRecord, directory: string) => Promise<{ bytes: number; doubts: string[]; says: string }>,
): Promise<TestRestoreResult> {
  const { component, id, location: name, run } = request;
  const directory = scratchDirectory(context, `${kind}-${component}-${run}`);
  return inTurn(directory, async () => {
    const record = await withLocation(context, name, (location) => recordOf(context, location, kind, component, id));
    if (record.damaged) {
      throw failure(
        'BackupDamaged',
        `${id} at ${name} is damaged: ${record.damaged.why}`,
        'Take another backup: lifeboat backup list',
      );
    }
    // What an attempt that was killed has left.
    await removeTree(directory);
    const began = Date.now();
    try {
      const { bytes, doubts, says } = await prove(record, directory);
      const seconds = Math.round((Date.now() - began) / 100) / 10;
      await checkpoint('before the note of a test restore');
      if (doubts.length === 0) {
        await withLocation(context, name, async (location) => {
          const now = await recordOf(context, location, kind, component, id);
          await writeRecord(location, {
            ...now,
            restored: { at: new Date().toISOString(), seconds, host: context.host },
          });
        });
      }
      const what = doubts.length > 0 ? `doubts: ${doubts.join('; ')}` : says;
      return {
        summary: `${id} from ${name} was restored on ${context.host} in ${seconds} s: ${what}`,
        id,
        location: name,
        bytes,
        seconds,
        doubts,
      };
    } finally {
      await removeTree(directory);
    }
  });
}

async function recordOf(
  { plan }: HostContext,
  location: Parameters<typeof readRecords>[0],
  kind: BackupKind,
  component: string,
  id: string,
): Promise<BackupRecord> {
  const found = (await readRecords(location, plan.system, kind, component)).find((record) => record.id === id);
  if (found) return found;
  throw failure(
    'NoBackup',
    `there is no backup ${id} of ${component} at ${location.name}`,
    'See which there are: lifeboat backup list',
  );
}

/** A rehearsal of it: the backup is there, and not known to be damaged. */
export async function couldTestRestore(
  context: HostContext,
  kind: BackupKind,
  request: TestRestoreRequest,
): Promise<TestRestoreResult> {
  const { component, id, location: name } = request;
  const record = await withLocation(context, name, (location) => recordOf(context, location, kind, component, id));
  const doubts = record.damaged ? [record.damaged.why] : [];
  return {
    summary: `${id} could be restored from ${name}`,
    id,
    location: name,
    bytes: record.dataBytes ?? record.size,
    seconds: 0,
    doubts,
  };
}
