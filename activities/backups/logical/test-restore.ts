import { join } from 'node:path';
import type { BackupRecord } from '../../../vocabulary/backup.js';
import type { TestRestoreRequest, TestRestoreResult } from '../../../vocabulary/backup-work.js';
import { type Capability, progress } from '../../capability.js';
import type { HostContext } from '../../context.js';
import { removeTree } from '../../files.js';
import { inTurn } from '../../in-turn.js';
import { programsFor } from '../../postgres/programs.js';
import { withSource } from '../../postgres/source.js';
import { bring } from './archive-load.js';
import { demandSpace, fetchArchive, freshFolder, laidDownPrefix, layDown, placesOf } from './fetch.js';
import { judge } from './load.js';
import { dressStatements } from './database-properties.js';
import { restorerForRecord } from './restorer.js';
import { rolesOf } from './roles.js';
import { amcheckScratch, removeScratch, type ScratchServer, scratchServer, startScratch } from './scratch-server.js';
import { noteRestored } from './notes.js';

const needed = ['initdb', 'pg_ctl', 'postgres'];

/**
 * Restores a dump to a server of its own on this host, from one location, verifies it there, and removes it. Writes
 * into the record when that was and how long it took. A killed one begins anew. Throws BackupDamaged, CommandFailed
 * when it cannot be restored.
 */
export const testRestoreLogical = (context: HostContext): Capability<TestRestoreRequest, TestRestoreResult> => ({
  async rehearse({ component, id, location }) {
    const record = await recordAt(context, component, id, location);
    const { version } = await programsFor(majorOf(record), needed);
    await restorerForRecord(parseInt(version), record, context.plan.databases[component]?.postgres.binDirectory);
    await demandSpace(layDown(context), bytesOf(record));
    return {
      summary: `${id} from ${location} could be restored on ${context.host}`,
      id,
      location,
      bytes: bytesOf(record),
      seconds: 0,
      doubts: [],
    };
  },

  async execute({ component, id, location }) {
    return inTurn(`${context.state} logical test ${component}`, async () => {
      const record = await recordAt(context, component, id, location);
      const server = await scratchServer(context, component);
      const folder = join(layDown(context), `${laidDownPrefix}test-${component}`);
      try {
        await removeScratch(server);
        return await testOne(context, record, server, folder);
      } finally {
        await removeScratch(server);
        await removeTree(folder);
      }
    });
  },
});

const majorOf = ({ tools }: BackupRecord): number => parseInt(tools['postgresql'] ?? tools['pg_dump'] ?? '0');
const bytesOf = ({ made, dataBytes, size }: BackupRecord): number => (dataBytes ?? size) + (made?.dumpBytes ?? size);

async function recordAt(context: HostContext, component: string, id: string, location: string): Promise<BackupRecord> {
  return (await placesOf(context, component, id, location))[0]!;
}

async function testOne(
  context: HostContext,
  record: BackupRecord,
  server: ScratchServer,
  folder: string,
): Promise<TestRestoreResult> {
  const began = Date.now();
  const programs = await programsFor(majorOf(record), needed);
  const { source } = server;
  await restorerForRecord(parseInt(programs.version), record, source.plan.postgres.binDirectory);
  await freshFolder(folder, source.owner);
  await demandSpace(folder, bytesOf(record));
  await startScratch(server, programs);
  const database = record.database;
  const { doubts, notes } = await withSource(source, 'template1', async (admin) => {
    const clear = async () => {
      if (['postgres', 'template1'].includes(database)) await admin.query(`drop database if exists postgres`);
    };
    const into = {
      source,
      admin,
      server: parseInt(programs.version),
      database,
      made: record.made,
      ledger: server.ledger('load'),
    };
    const { archive, notes } = await bring({ ...into, clear }, (beside) =>
      fetchArchive(context, [record], folder, source.owner, beside),
    );
    progress({ what: 'verifying rows, queries and indexes' });
    const wrong = await judge(source, database, archive);
    if (record.made)
      for (const statement of dressStatements(database, record.made, await rolesOf(admin)))
        await admin.query(statement);
    const checked = await amcheckScratch(server, database);
    return { doubts: [...wrong, ...checked.doubts], notes: [...notes, ...checked.notes] };
  });
  const seconds = Math.round((Date.now() - began) / 100) / 10;
  // What was found wrong is told, and is no proof.
  if (doubts.length === 0) await noteRestored(context, record, began);
  const { id, location } = record;
  const ended = doubts.length > 0 ? `; NOT as it should be: ${doubts.join('; ')}` : ' and verified';
  const summary = [`${id} from ${location} was restored on ${context.host} in ${seconds} s${ended}`, ...notes].join(
    '; ',
  );
  return { summary, id, location, bytes: record.dataBytes ?? record.size, seconds, doubts };
}
