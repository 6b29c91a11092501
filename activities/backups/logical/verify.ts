import { join } from 'node:path';
import type { BackupRecord } from '../../../vocabulary/backup.js';
import type { VerifyRequest, VerifyResult } from '../../../vocabulary/backup-work.js';
import { type Capability, cancelled } from '../../capability.js';
import type { HostContext } from '../../context.js';
import { failure, isFailure } from '../../errors.js';
import type { Location } from '../../locations/location.js';
import { removeTree } from '../../files.js';
import { withLocation } from '../../locations/open.js';
import { programsFor } from '../../postgres/programs.js';
import { recordName } from '../record.js';
import { meter } from './dump.js';
import { keepNote } from './notes.js';
import { listLogical } from './dump-names.js';
import { laidDownPrefix, layDown } from './fetch.js';
import { isProven, keptFolder, type Proof, proofInWords, proofOf, prove, readBackAndKeep } from './prove.js';
import { formatTooNew, readerOfRecord } from './restorer.js';

type Damage = VerifyResult['damaged'][number];

/**
 * Reads every byte of every dump (or of one) at every location (or at one), through pg_restore, and notes in its record
 * how that went.
 */
export const verifyLogical = (context: HostContext): Capability<VerifyRequest, VerifyResult> => {
  const look = async ({ component, id, location: only }: VerifyRequest, note: boolean): Promise<VerifyResult> => {
    const { backups, unreadable } = await listLogical(context, component);
    const chosen = backups.filter((one) => (!id || one.id === id) && (!only || one.location === only));
    if (id && chosen.length === 0)
      throw failure(
        'NoBackup',
        `there is no dump ${id} of ${component}${only ? ` at ${only}` : ''}`,
        'See what there is: lifeboat backup list',
        {
          unreadable: Object.keys(unreadable),
        },
      );
    const failed = Object.entries(unreadable)
      .filter(([name]) => !only || name === only)
      .map(([name, why]) => `${name}: ${why}`);
    const damaged: Damage[] = [];
    let sound = 0;
    const notes: string[] = [];
    // The copies of a dump are of one stream: what was loaded of one was loaded of all, once their digests hold; at its
    // taking, as a rule.
    const proofs = new Map<string, Proof>();
    for (const record of chosen) {
      try {
        const found = await withLocation(context, record.location, (location) =>
          verifyOne(context, location, record, note, proofs),
        );
        if ('why' in found) damaged.push(found);
        else if (found.failed?.length !== undefined && found.failed.length > 0)
          failed.push(`${record.location}: ${record.id} was read whole, and ${proofInWords(found)}`);
        else {
          sound += 1;
          if (!found.failed) notes.push(proofInWords(found));
        }
      } catch (error) {
        cancelled()?.throwIfAborted();
        failed.push(`${record.location}: ${record.id}: ${(error as Error).message}`);
      }
    }
    const first = damaged[0];
    const unloaded = [...new Set(notes)].join('; ');
    const read = `${sound} ${sound === 1 ? 'dump' : 'dumps'} of ${component} read whole`;
    const whole =
      notes.length === 0
        ? `${read} and sound`
        : `${read}, ${notes.length === sound ? '' : `${notes.length} of them `}${unloaded}`;
    return {
      summary: first
        ? `${whole}; ${damaged.length} damaged, the first: ${first.id} at ${first.location}: ${first.file}: ${first.why}`
        : failed.length > 0
          ? `${whole}; NOT read: ${failed.join('; ')}`
          : whole,
      sound,
      damaged,
      failed,
    };
  };
  return { rehearse: (input) => look(input, false), execute: (input) => look(input, true) };
};

async function verifyOne(
  context: HostContext,
  location: Location,
  record: BackupRecord,
  note: boolean,
  proofs: Map<string, Proof>,
): Promise<Damage | Proof> {
  // A record that cannot be believed says nothing of its files.
  if (record.type === 'unknown')
    return {
      id: record.id,
      location: location.name,
      file: recordName(record),
      why: record.damaged?.why ?? 'its record cannot be read',
    };
  const reader = readerOfRecord(record);
  const { directory } = await programsFor(reader, ['pg_restore'], binOf(context, record)).catch((error: unknown) => {
    throw isFailure(error, 'ToolMissing') ? formatTooNew(recordName(record), reader) : error;
  });
  const tell = meter(`verifying ${record.id} at ${location.name}`, record.size);
  const at = () => new Date().toISOString();
  const folder = join(layDown(context), `${laidDownPrefix}verified-${record.component}`);
  try {
    const known = record.schema?.failed ? { failed: record.schema.failed } : proofs.get(record.id);
    const kept = known ? undefined : await keptFolder(context, folder);
    for (const file of record.files) {
      try {
        await readBackAndKeep(context, location, file, join(directory, 'pg_restore'), tell, kept);
      } catch (error) {
        if ((error as { type?: string }).type !== 'BackupDamaged') throw error;
        const why = (error as Error).message;
        if (note) await keepNote(location, { ...record, damaged: { at: at(), why } });
        return { id: record.id, location: location.name, file: file.name, why };
      }
    }
    const proof = known ?? (await prove(context, record, folder));
    proofs.set(record.id, proof);
    const healed = {
      ...record,
      verified: { at: at() },
      schema: record.schema?.failed ? record.schema : proofOf(proof),
    };
    delete healed.damaged;
    const { verified: _, ...unproven } = healed;
    if (note) await keepNote(location, isProven(proof, record) ? healed : unproven);
    return proof;
  } finally {
    await removeTree(folder);
  }
}

const binOf = ({ plan }: HostContext, { component }: BackupRecord) => plan.databases[component]?.postgres.binDirectory;
