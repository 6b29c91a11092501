import { readdir } from 'node:fs/promises';
import { endianness } from 'node:os';
import { join } from 'node:path';
import { checkpoint } from '../checkpoint.js';
import { exists, openRegular } from '../files.js';
import type { Cluster } from './cluster.js';
import { one, withClient } from './connect.js';

export interface Slot {
  name: string;
  kind: 'physical' | 'logical';
}

/**
 * The replication slots of a data directory, whether its server runs or not; no backup has them. The file of a slot
 * begins with four numbers of four bytes, its name in 64, and its database, which a physical slot has not. Source:
 * src/backend/replication/slot.c, ReplicationSlotOnDisk.
 */
export async function slotsOf(directory: string): Promise<Slot[]> {
  const slots: Slot[] = [];
  for (const name of (await readdir(join(directory, 'pg_replslot')).catch((): string[] => [])).sort()) {
    // One that is being dropped has another name.
    if (!/^[a-z0-9_]+$/.test(name)) continue;
    const kind = await kindOf(join(directory, 'pg_replslot', name, 'state')).catch(() => undefined);
    if (kind) slots.push({ name, kind });
  }
  return slots;
}

async function kindOf(path: string): Promise<Slot['kind']> {
  const file = await openRegular(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(84), 0, 84, 0);
    if (bytesRead < 84) throw new Error('it is cut off');
    return (endianness() === 'LE' ? buffer.readUInt32LE(80) : buffer.readUInt32BE(80)) === 0 ? 'physical' : 'logical';
  } finally {
    await file.close();
  }
}

/**
 * Makes the physical slots of the directory that was in place before, for the standbys that use them. They hold no WAL
 * back until those come.
 */
export async function recreateSlots(cluster: Cluster, quarantine: string): Promise<string[]> {
  if (!(await exists(quarantine))) return [];
  const wanted = (await slotsOf(quarantine)).filter(({ kind }) => kind === 'physical');
  const failed: string[] = [];
  for (const { name } of wanted) {
    await withClient(cluster, { database: 'postgres' }, async (client) => {
      if (await one<boolean>(client, 'select exists(select from pg_replication_slots where slot_name = $1)', [name]))
        return;
      await checkpoint('before making a replication slot again');
      await client.query('select pg_create_physical_replication_slot($1)', [name]);
      await checkpoint('after making a replication slot again');
    }).catch((error: unknown) => failed.push(`${name}: ${(error as Error).message}`));
  }
  return failed;
}
