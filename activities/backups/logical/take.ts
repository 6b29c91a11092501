import { join } from 'node:path';
import type pg from 'pg';
import type { BackupRecord, DatabaseMade } from '../../../vocabulary/backup.js';
import type { BackupResult, TakeRequest } from '../../../vocabulary/backup-work.js';
import { type Capability, cancelled } from '../../capability.js';
import { checkpoint } from '../../checkpoint.js';
import type { HostContext } from '../../context.js';
import { failure } from '../../errors.js';
import { removeTree } from '../../files.js';
import { inTurn } from '../../in-turn.js';
import type { Location } from '../../locations/location.js';
import { one } from '../../postgres/connect.js';
import type { Programs } from '../../postgres/programs.js';
import { demandNoIncident, programsOf, type Source, sourceOf, withSource } from '../../postgres/source.js';
import { clearLeft } from '../abandoned-files.js';
import { backupId, readRecords, writeRecord } from '../record.js';
import { dumpFile, globalsFile } from './coding.js';
import { copyTo } from './copy.js';
import { laidDownPrefix, layDown } from './fetch.js';
import { mayReadPasswords, meter, pgDump, pgDumpGlobals, send, type Sending, told } from './dump.js';
import { countInTransaction, largestShare, readMade } from './database-properties.js';
import { listLogical, logicalOf, openAll } from './dump-names.js';
import { isProven, keptFolder, type Proof, proofInWords, proofOf, prove, readBackAndKeep } from './prove.js';
import type { KeptFile } from './read-back.js';

/**
 * Takes a dump and keeps it at every location of the plan, without a file in between. It is done at a location when it
 * was read back there, and only then is its record written. A location that fails is named, and the others go on.
 * Source: field-notes, "Logical" and note 13.
 */
export const takeLogical = (context: HostContext, stall?: number): Capability<TakeRequest, BackupResult> => ({
  async rehearse({ component }) {
    const source = await sourceOf(context, component);
    await withSource(source, source.name, (client) => programsOf(source, client));
    const { unreadable } = await listLogical(context, component);
    const { locations } = logicalOf(context, component);
    const failed = Object.entries(unreadable).map(([name, why]) => `${name}: ${why}`);
    return {
      summary: `could be taken at ${locations.join(', ')}`,
      id: '',
      type: 'logical',
      component,
      locations: [],
      bytes: 0,
      seconds: 0,
      failed,
    };
  },

  async execute({ component, run, incident }) {
    const { locations: names } = logicalOf(context, component);
    const source = await sourceOf(context, component);
    return inTurn(`${context.state} logical take ${component}`, async () => {
      await demandNoIncident(source, 'dump is taken', incident);
      const failed: Record<string, string> = {};
      const locations = await openAll(context, names, failed);
      try {
        return await take({ source, context, component, run, locations, failed, stall });
      } finally {
        await Promise.all(locations.map((location) => location.close()));
      }
    });
  },
});

interface Taking {
  source: Source;
  context: HostContext;
  component: string;
  run: string;
  locations: Location[];
  failed: Record<string, string>;
  stall: number | undefined;
}

async function take(taking: Taking): Promise<BackupResult> {
  const { context, component, run, failed } = taking;
  const began = new Date();
  const done = new Map<string, BackupRecord>();
  const taken = new Set<string>();
  const open: Location[] = [];
  for (const location of taking.locations) {
    try {
      const records = await readRecords(location, context.plan.system, 'logical', component);
      for (const record of records) taken.add(record.id);
      const own = records.find((record) => record.run === run && !record.damaged);
      if (own) done.set(location.name, own);
      else open.push(location);
    } catch (error) {
      failed[location.name] = (error as Error).message;
    }
  }
  const earlier = [...done.values()][0];
  // Two small dumps in one second.
  let id = earlier?.id ?? backupId(began);
  for (let later = 1; !earlier && taken.has(id); later += 1) id = backupId(new Date(began.getTime() + later * 1000));
  const ready: Location[] = [];
  for (const location of open) {
    try {
      await clearLeft(location, { system: context.plan.system, kind: 'logical', component }, id);
      ready.push(location);
    } catch (error) {
      failed[location.name] = (error as Error).message;
    }
  }
  if (earlier) {
    for (const location of ready) {
      const copied = await copyTo(
        context,
        taking.locations,
        [...done.values()],
        location,
        pgRestoreOf(taking.source),
      ).catch((error: unknown) => {
        cancelled()?.throwIfAborted();
        failed[location.name] = (error as Error).message;
      });
      if (copied) done.set(location.name, copied);
    }
  } else if (ready.length > 0) {
    for (const record of await dumpTo(taking, ready, began, id)) done.set(record.location, record);
  }
  return result(component, [...done.values()], failed, began);
}

const pgRestoreOf = (source: Source) => () =>
  withSource(source, source.name, async (client) => join((await programsOf(source, client)).directory, 'pg_restore'));

/** The dump itself: one snapshot for the data and the counts of rows, one pg_dump for all locations. */
async function dumpTo(taking: Taking, ready: Location[], began: Date, id: string): Promise<BackupRecord[]> {
  const { source, context, component, failed } = taking;
  const { compression } = logicalOf(context, component);
  const of = { system: context.plan.system, component, id };
  const dumped = await withSource(source, source.name, async (client) => {
    const programs = await programsOf(source, client);
    await checkpoint('before dumping');
    const sending = (locations: Location[]): Sending => ({
      context,
      of,
      locations,
      compressed: compression,
      failed,
      ...(taking.stall === undefined ? {} : { stall: taking.stall }),
    });
    const globals = await send(
      sending(ready),
      globalsFile,
      pgDumpGlobals(source, programs, await mayReadPasswords(client)),
      meter(`dumping the roles of ${component}`, 0),
    );
    const made = await readMade(client);
    const largest = await largestShare(client);
    const total = Number(await one<string>(client, 'select pg_database_size(current_database())'));
    await client.query('begin isolation level repeatable read read only');
    const snapshot = (await one<string>(client, 'select pg_export_snapshot()'))!;
    let dumpBytes = 0;
    const tell = meter(`dumping ${component}`, total);
    const data = send(
      sending(globals.map(({ location }) => location)),
      dumpFile,
      pgDump(source, programs, snapshot),
      (bytes) => {
        dumpBytes += bytes;
        tell(bytes);
      },
    );
    data.catch(() => undefined);
    const rows = await counted(client, Object.keys(source.plan.verify.rows), data);
    const sent = await data.catch(async (error: unknown) => {
      // Without a dump the roles are nothing; when we are killed here instead, the next dump clears them away.
      for (const { location, file } of globals) await location.remove(file.name).catch(() => undefined);
      throw error;
    });
    await client.query('rollback').catch(() => undefined);
    await checkpoint('after dumping');
    const kept = sent.map(({ location, file }) => ({
      location,
      files: [file, globals.find((one) => one.location === location)!.file],
    }));
    return {
      kept,
      programs,
      rows,
      total,
      made: { ...made, dumpBytes, ...(largest === undefined ? {} : { largest }) } satisfies DatabaseMade,
    };
  });
  const { kept, programs, rows, total, made } = dumped;
  const record = (location: Location, files: KeptFile[]): BackupRecord => ({
    ...of,
    kind: 'logical',
    type: 'logical',
    timestamp: began.toISOString(),
    database: source.name,
    location: location.name,
    size: files.reduce((sum, { bytes }) => sum + bytes, 0),
    dataBytes: total,
    compression: compression ? 'zstd' : 'none',
    encryption: files[0]!.name.endsWith('.age') ? 'age' : 'none',
    files,
    tools: tools(programs),
    seconds: Math.round((Date.now() - began.getTime()) / 100) / 10,
    run: taking.run,
    rows,
    made,
  });
  const folder = join(layDown(context), `${laidDownPrefix}taken-${component}`);
  try {
    const [first, ...others] = kept.map(({ location, files }) => ({
      location,
      files,
      record: record(location, files),
    }));
    const sound = await Promise.all([
      readBackAt(taking, first!, programs, await keptFolder(context, folder)),
      ...others.map((each) => readBackAt(taking, each, programs)),
    ]);
    // What the first location did not give back, another one did.
    if (!sound[0])
      for (const each of sound)
        if (each && (await readBackAt(taking, each, programs, await keptFolder(context, folder)))) break;
    if (!sound.some(Boolean)) return [];
    const proof = await prove(context, first!.record, folder);
    const published = await Promise.all(sound.map(async (each) => each && (await publish(taking, each, proof))));
    return published.filter((one) => one !== undefined);
  } finally {
    await removeTree(folder);
  }
}

interface Kept {
  location: Location;
  files: KeptFile[];
  record: BackupRecord;
}

/** Reads it back, and keeps its beginning. Undefined when it is not what was sent, which is noted. */
async function readBackAt(
  { context, failed }: Taking,
  kept: Kept,
  programs: Programs,
  folder?: string,
): Promise<Kept | undefined> {
  const { location, files } = kept;
  try {
    const tell = meter(
      `reading back at ${location.name}`,
      files.reduce((sum, { bytes }) => sum + bytes, 0),
    );
    for (const file of files)
      await readBackAndKeep(context, location, file, join(programs.directory, 'pg_restore'), tell, folder);
    return kept;
  } catch (error) {
    cancelled()?.throwIfAborted();
    failed[location.name] = (error as Error).message;
    return undefined;
  }
}

/** Writes its record last. */
async function publish(
  { failed }: Taking,
  { location, record }: Kept,
  proof: Proof,
): Promise<BackupRecord | undefined> {
  try {
    const verified = isProven(proof, record) ? { verified: { at: new Date().toISOString() } } : {};
    const whole: BackupRecord = { ...record, ...verified, schema: proofOf(proof) };
    await checkpoint(`before the record`);
    await writeRecord(location, whole);
    await checkpoint(`after the record`);
    return whole;
  } catch (error) {
    cancelled()?.throwIfAborted();
    failed[location.name] = (error as Error).message;
    return undefined;
  }
}

/**
 * Counts while the dump runs, and no longer than that: nothing is known when the dump fails, whose error is told by
 * whoever waits for it.
 */
async function counted(
  client: pg.Client,
  tables: string[],
  dump: Promise<unknown>,
): Promise<Record<string, number | null>> {
  const failed = dump.then(
    () => new Promise<never>(() => undefined),
    () => ({}),
  );
  // It may wait for the same lock as the dump, which gives up.
  const counting = countInTransaction(client, tables).catch(async (error: unknown) => {
    await dump.catch(() => undefined);
    throw error;
  });
  return Promise.race([counting, failed]);
}

const tools = ({ version, server }: Programs & { server?: string }): Record<string, string> => ({
  pg_dump: version,
  ...(server === undefined ? {} : { postgresql: server }),
});

function result(component: string, done: BackupRecord[], failures: Record<string, string>, began: Date): BackupResult {
  const failed = Object.entries(failures).map(([name, why]) => `${name}: ${why}`);
  const first = done[0];
  if (!first)
    throw failure(
      'LocationUnreachable',
      `no location took the dump of ${component}: ${told(failures)}`,
      'Check the locations: lifeboat doctor',
    );
  const locations = done.map(({ location }) => location);
  const missing = failed.length > 0 ? `; NOT at ${failed.join('; ')}` : '';
  const unrestorable = first.schema?.failed ?? [];
  return {
    id: first.id,
    type: 'logical',
    component,
    locations,
    bytes: first.size,
    seconds: Math.round((Date.now() - began.getTime()) / 100) / 10,
    summary: [`dump ${first.id} of ${first.database} at ${locations.join(', ')}${missing}`, ...notesOn(first)].join(
      '; ',
    ),
    failed: [...failed, ...unrestorable.map((one) => `it is kept, and not all of it can be restored: ${one}`)],
    ...(unrestorable.length > 0 ? { unrestorable } : {}),
  };
}

/** By which programs, where they are not the server's own; and what is known of it. */
function notesOn({ tools, schema }: BackupRecord): string[] {
  const { pg_dump: by = '0', postgresql: server = by } = tools;
  return [
    ...(parseInt(by) > parseInt(server)
      ? [`by pg_dump ${by}, since this host has none of the server's version ${server}`]
      : []),
    ...(schema ? [proofInWords(schema)] : []),
  ];
}
