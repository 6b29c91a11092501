import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostContext } from '../../context.js';
import { isFailure } from '../../errors.js';
import { removeTree } from '../../files.js';
import { inTurn } from '../../in-turn.js';
import type { Location } from '../../locations/location.js';
import type { BackupRecord } from '../../../vocabulary/backup.js';
import type { VerifyRequest, VerifyResult } from '../../../vocabulary/backup-work.js';
import { verifyEverywhere } from '../all-locations.js';
import { fetchFile, flawOf } from '../kept-files.js';
import { backupPrefix, recordName, writeRecord } from '../record.js';
import { scratchDirectory } from '../test-restore.js';
import { git } from './git.js';
import { checkBundle } from './mirror.js';
import { codeOf } from './plan.js';
import { repositoryIn } from './restore.js';

/**
 * Reads every bundle whole, compares its digest, opens it, and has git verify it; and that it is of the backup whose
 * record names it.
 */
export function verifyCode(context: HostContext, request: VerifyRequest): Promise<VerifyResult> {
  return verifyEverywhere(
    context,
    'code',
    request,
    codeOf(context, request.component).locations,
    async (location, records, result) => {
      for (const record of records) await verifyOne(context, location, record, result);
    },
  );
}

async function verifyOne(
  context: HostContext,
  location: Location,
  record: BackupRecord,
  result: VerifyResult,
): Promise<void> {
  const at = new Date().toISOString();
  // A record that cannot be believed stays as it is: it is the evidence.
  const unknown = record.type === 'unknown';
  const flaw = unknown
    ? { file: recordName(record), why: record.damaged!.why }
    : await flawIn(context, location, record);
  const { damaged: _, verified: __, ...rest } = record;
  if (flaw) result.damaged.push({ id: record.id, location: location.name, ...flaw });
  else result.sound += 1;
  if (!unknown)
    await writeRecord(
      location,
      flaw ? { ...rest, damaged: { at, why: `${flaw.file}: ${flaw.why}` } } : { ...rest, verified: { at } },
    );
}

async function flawIn(
  context: HostContext,
  location: Location,
  record: BackupRecord,
): Promise<{ file: string; why: string } | undefined> {
  for (const file of record.files) {
    if (!file.name.startsWith(backupPrefix(record)))
      return { file: file.name, why: 'it is not of this backup: the record was changed' };
    const why = (await flawOf(location, file)) ?? (await flawOfBundle(context, location, record, file));
    if (why) return { file: file.name, why };
  }
  return undefined;
}

async function flawOfBundle(
  context: HostContext,
  location: Location,
  record: BackupRecord,
  file: BackupRecord['files'][number],
): Promise<string | undefined> {
  const scratch = scratchDirectory(context, `code-${record.component}-verify`);
  return inTurn(scratch, async () => {
    await removeTree(scratch);
    await mkdir(scratch, { recursive: true, mode: 0o700 });
    try {
      const bundle = join(scratch, 'bundle');
      await fetchFile(context, location, file, bundle);
      const within = join(scratch, 'empty.git');
      await git(context, ['init', '--quiet', '--bare', within]);
      const { sha256 } = await checkBundle(context, within, bundle);
      return sha256 === record.refs?.[repositoryIn(file.name)]
        ? undefined
        : 'it has other branches and tags than the record says';
    } catch (error) {
      if (!isFailure(error, 'BackupDamaged') && !isFailure(error, 'CommandFailed')) throw error;
      return error.message;
    } finally {
      await removeTree(scratch);
    }
  });
}
