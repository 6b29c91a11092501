import type pg from 'pg';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { BackupRecord } from '../../../vocabulary/backup.js';
import type { RestoreRequest, RestoreResult } from '../../../vocabulary/backup-work.js';
import { type Capability, progress } from '../../capability.js';
import { checkpoint } from '../../checkpoint.js';
import type { HostContext } from '../../context.js';
import { failure } from '../../errors.js';
import { makeDirectory, removeTree, writeWhole } from '../../files.js';
import { within } from '../../locations/transfer.js';
import { inTurn } from '../../in-turn.js';
import { one } from '../../postgres/connect.js';
import { demandNoIncident, type Source, sourceOf, withSource } from '../../postgres/source.js';
import { endLeftoverOf, type Ledger } from '../../run.js';
import { demandSpace, fetchArchive, freshFolder, laidDownPrefix, layDown, placesOf, sameFileSystem } from './fetch.js';
import { bring } from './archive-load.js';
import { openLocalFile } from './local-file.js';
import { judge, type Loading } from './load.js';
import { dressStatements, readMade } from './database-properties.js';
import { databases, dropTemporary, earlierOf, marks, markStatement, temporaryName } from './marks.js';
import {
  afresh,
  demandRenamable,
  givePlace,
  maintenance,
  openStatement,
  type Placed,
  staysBehind,
  takePlace,
} from './replace.js';
import { restorerForRecord } from './restorer.js';
import { rolesOf } from './roles.js';
import type { Failed } from './restore-errors.js';
import { noteRestored } from './notes.js';

/**
 * Restores a dump into a database of a temporary name, verifies it there, and gives it its name in one transaction: a
 * new one (`into`), or that of the database of the plan, which is renamed aside (`dropExisting`). A restore that fails
 * leaves production as it was, and nothing of its own.
 */
export const restoreLogical = (context: HostContext): Capability<RestoreRequest, RestoreResult> => ({
  async rehearse(request) {
    const source = await sourceOf(context, request.component);
    demandSense(request);
    await demandNoIncident(source, 'restore');
    const records = request.id ? await placesOf(context, request.component, request.id, request.location) : [];
    await withSource(source, maintenance(source), async (admin) => {
      await demandFree(admin, request, undefined);
      if (request.dropExisting) await demandRenamable(admin, source.name);
    });
    const what = records[0] ? `${records[0].id} from ${records[0].location}` : (request.file ?? '');
    return {
      summary: `${what} could be restored into ${request.into ?? source.name}`,
      into: request.into ?? source.name,
      seconds: 0,
    };
  },

  async execute(request) {
    demandSense(request);
    const source = await sourceOf(context, request.component);
    return inTurn(`${context.state} logical restore ${request.component}`, async () => {
      await demandNoIncident(source, 'restore');
      return withSource(source, maintenance(source), (admin) => restore(context, source, admin, request));
    });
  },
});

function demandSense({ id, file, into, dropExisting, skipFailed }: RestoreRequest): void {
  const wrong =
    (id === undefined) === (file === undefined)
      ? 'a restore is of a backup, or of a file'
      : (into === undefined) === !dropExisting
        ? 'a restore goes into a new database, or takes the place of the existing one'
        : into !== undefined && (into === '' || Buffer.byteLength(into) > 63 || into.includes('\0'))
          ? 'the name of a database has 1 to 63 bytes'
          : skipFailed && dropExisting
            ? 'what takes the place of a database leaves out only what was named before, by --without'
            : undefined;
  if (wrong)
    throw failure(
      'BadRequest',
      wrong,
      'lifeboat backup restore ID --into NAME [--skip-failed], or --drop-existing [--without NUMBER]',
    );
}

async function demandFree(admin: pg.Client, { into }: RestoreRequest, own: string | undefined): Promise<void> {
  if (into === undefined || into === own || !(await databases(admin)).some(({ name }) => name === into)) return;
  throw failure(
    'BadRequest',
    `there is a database ${into} already`,
    'Name another one; or --drop-existing, which renames the database of the plan aside first.',
  );
}

async function restore(
  context: HostContext,
  source: Source,
  admin: pg.Client,
  request: RestoreRequest,
): Promise<RestoreResult> {
  const began = Date.now();
  const { component, run } = request;
  const temporary = temporaryName(component, run);
  const ledger: Ledger = { directory: join(context.state, 'running'), name: `${component}-logical-restore` };
  const folder = join(layDown(context), `${laidDownPrefix}restore-${component}`);
  // Before anything is changed under the hands of what a killed attempt left running.
  await endLeftoverOf(ledger);
  const found = await databases(admin);
  const earlier = earlierOf(found, component, run);
  // Another run was killed when it had closed the database to replace it, and nobody tried that again.
  const left = found.some(
    ({ mark }) => mark?.startsWith(`Lifeboat restores ${component} (run `) && mark.endsWith(': ready'),
  );
  if (left && !earlier.ready && found.some(({ name, open }) => name === source.name && !open))
    await admin.query(openStatement(source.name));
  if (earlier.placed === undefined) await demandFree(admin, request, undefined);
  if (earlier.placed === undefined && request.dropExisting) await demandRenamable(admin, source.name);
  const behind = request.dropExisting && earlier.placed === undefined ? await staysBehind(admin, source.name) : [];
  try {
    const note = join(context.state, `${component}-left-out.json`);
    let filled: Filled = { said: '', leftOut: await leftOutOf(note, run) };
    if (earlier.placed === undefined && !earlier.ready)
      filled = await fill({ context, source, admin, request, temporary, ledger, folder, note });
    const what = request.id ?? request.file!;
    const placed: Placed =
      earlier.placed !== undefined
        ? { into: earlier.placed, ...(earlier.aside === undefined ? {} : { aside: earlier.aside }) }
        : request.into !== undefined
          ? await givePlace(admin, temporary, request.into, marks.restored(what, run))
          : await takePlace(source, admin, temporary, source.name, {
              restored: marks.restored(what, run),
              aside: marks.setAside(run),
            });
    await removeTree(folder);
    const seconds = Math.round((Date.now() - began) / 100) / 10;
    const aside =
      placed.aside === undefined
        ? ''
        : `; the old one is now ${placed.aside}${behind.map((one) => `; ${one}`).join('')}`;
    const { said, leftOut } = filled;
    const lacks = leftOut.length > 0 ? `, NOT WHOLE: without ${leftOut.join('; ')}` : '';
    const summary = `${what} was restored into ${placed.into}${lacks}${aside}${said}`;
    return { summary, ...placed, seconds, ...(leftOut.length > 0 ? { leftOut } : {}) };
  } catch (error) {
    await afresh(source, (client) => dropTemporary(client, source)).catch(() => undefined);
    await removeTree(folder).catch(() => undefined);
    throw error;
  }
}

interface Filling {
  context: HostContext;
  source: Source;
  admin: pg.Client;
  request: RestoreRequest;
  temporary: string;
  ledger: Ledger;
  folder: string;
  note: string;
}

interface Filled {
  /** What people should know, as the end of a sentence. */
  said: string;
  leftOut: string[];
}

/** Until it is whole and verified, under its temporary name. */
async function fill({ context, source, admin, request, temporary, ledger, folder, note }: Filling): Promise<Filled> {
  const began = Date.now();
  const { component, id, file, location, run } = request;
  await dropTemporary(admin, source);
  const records = id === undefined ? [] : await placesOf(context, component, id, location);
  const server = parseInt((await one<string>(admin, 'show server_version'))!);
  if (records[0]) await restorerForRecord(server, records[0], source.plan.postgres.binDirectory);
  await makeDirectory(dirname(folder), undefined, 0o755);
  await freshFolder(folder, source.owner);
  await demandRoom(source, folder, records[0]);
  const made = records.find((record) => record.made)?.made ?? (await madeOfExisting(source, admin));
  const {
    archive,
    notes: says,
    leftOut,
  } = await bring(
    {
      ...{ source, admin, server, database: temporary, made, ledger },
      without: request.without,
      skipFailed: request.skipFailed,
      goOn: (failed) => goOn(request, failed),
      clear: () => dropTemporary(admin, source),
      begun: async () => void (await admin.query(markStatement(temporary, marks.begun(component, run, 'begun')))),
    },
    (beside) =>
      id === undefined
        ? openLocalFile(context, file!, folder, source.owner)
        : fetchArchive(context, records, folder, source.owner, beside),
  );
  const notes = [...archive.passedOver.map((one) => `NOT from ${one}`), ...says];
  progress({ what: 'verifying rows and queries' });
  const wrong = await judge(source, temporary, archive, leftOut);
  // The rows are the dump's own; what the plan's queries ask, an old dump need not fulfil, and a new database beside
  // the old does no harm.
  if (wrong.length > 0 && request.dropExisting)
    throw failure(
      'VerificationFailed',
      `${archive.what} restored is not what it should be: ${wrong.join('; ')}`,
      'Nothing was replaced. Look at it: lifeboat backup restore ID --into NAME',
      { wrong },
    );
  notes.push(...wrong);
  progress({ what: 'gathering statistics' });
  await withSource(source, temporary, (client) => client.query('analyze'));
  if (made)
    for (const statement of dressStatements(temporary, made, await rolesOf(admin))) await admin.query(statement);
  // Whoever goes on after a crash finds it whole by its mark, and must still say what it lacks.
  await writeWhole(note, JSON.stringify({ run, leftOut }));
  await checkpoint('before marking the restored database');
  await admin.query(markStatement(temporary, marks.begun(component, run, 'ready')));
  await checkpoint('after marking the restored database');
  // That it is proven is worth a note, and not worth waiting for.
  if (archive.record && wrong.length === 0 && leftOut.length === 0)
    await within(10_000, noteRestored(context, archive.record, began), () => new Error('too late')).catch(
      () => undefined,
    );
  return { said: notes.length > 0 ? `; ${notes.join('; ')}` : '', leftOut };
}

async function leftOutOf(note: string, run: string): Promise<string[]> {
  const kept = JSON.parse(await readFile(note, 'utf8').catch(() => '{}')) as { run?: string; leftOut?: string[] };
  return kept.run === run ? (kept.leftOut ?? []) : [];
}

/** What on-call types next to go on without what failed. */
function goOn({ id, file, into, dropExisting, without = [], location }: RestoreRequest, failed: Failed[]): string {
  const what = file === undefined ? id! : `--file ${quoted(file)}`;
  const where = `${dropExisting ? '--drop-existing' : `--into ${quoted(into!)}`}${location ? ` --location ${location}` : ''}`;
  const more = [...without, ...failed.map((one) => one.id)].map((one) => ` --without ${quoted(one)}`).join('');
  const all = `lifeboat backup restore ${what} --into ${dropExisting ? 'NAME' : quoted(into!)} --skip-failed`;
  const nothing = 'Nothing was replaced, and nothing is left of what was restored.';
  return failed.length > 0
    ? `${nothing} To go on without it: lifeboat backup restore ${what} ${where}${more}; without whatever fails: ${all}`
    : `${nothing} To go on without what fails: ${all}`;
}

const quoted = (text: string): string => (/^[\w./:-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`);

/** The dump and the new database must fit beside what is there. Throws NotEnoughSpace before anything is done. */
async function demandRoom({ cluster }: Source, folder: string, record: BackupRecord | undefined): Promise<void> {
  if (!record || !cluster) return;
  const dump = record.made?.dumpBytes ?? record.size;
  const together = await sameFileSystem(folder, cluster.dataDirectory);
  await demandSpace(cluster.dataDirectory, (record.dataBytes ?? dump) + (together ? dump : 0));
}

/** A dump alone does not say what its database was made with: it is made as the one that it is for. */
async function madeOfExisting(source: Source, admin: pg.Client): Promise<Loading['made']> {
  const there = await one<boolean>(admin, 'select datallowconn from pg_database where datname = $1', [source.name]);
  return there ? withSource(source, source.name, readMade) : undefined;
}
