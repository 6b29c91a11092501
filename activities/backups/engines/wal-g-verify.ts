import { Readable } from 'node:stream';
import { progress } from '../../capability.js';
import { failure, isFailure } from '../../errors.js';
import type { Kept, Location } from '../../locations/location.js';
import { withLocation } from '../../locations/open.js';
import type { Cluster } from '../../postgres/cluster.js';
import { dataOwner } from '../../postgres/cluster.js';
import { run, tail } from '../../run.js';
import type { EngineVerification } from '../engine.js';
import { configFile, folderOf, writeConfig } from './wal-g-config.js';
import { noLibsodium } from './wal-g-prepare.js';
import { backupsOf, info, labelsIn, pageErrorsOf, parseSentinel, readText, sentinelOf, walOf } from './wal-g-store.js';
import { demandWal } from './wal-g-take.js';

/**
 * What is proven, and what is not: every object is read whole, decrypted (libsodium authenticates each piece) and
 * decompressed (zstd has a checksum of what was compressed) by WAL-G itself; every object that a backup's own list of
 * its archives names is there; and what it is based on is sound. WAL-G keeps no checksum of an object elsewhere: one
 * that was replaced by another sound one is found by a restore alone (`backup test`). Gaps in the WAL are looked for
 * before each recovery (wal.ts), which `wal-g wal-verify` would only do with the server at hand.
 */
export async function verify(cluster: Cluster, location: string): Promise<EngineVerification> {
  const { backups, unreadable } = await info(cluster, [location]);
  if (unreadable[location] !== undefined)
    throw failure(
      'LocationUnreachable',
      `${location} cannot be read: ${unreadable[location]}`,
      'Is it mounted? Are its credentials right?',
    );
  return withLocation(cluster.context, location, async (open) => {
    const kept = await open.list(`${folderOf(cluster)}/`);
    const damaged: EngineVerification['damaged'] = [];
    for (const label of labelsIn(cluster, kept)) {
      if (backups.some((backup) => backup.label === label)) continue;
      const why = await readText(open, sentinelOf(cluster, label)).then(
        (json) => problemOf(() => parseSentinel(json)),
        (error: unknown) => (error as Error).message,
      );
      if (why)
        damaged.push({
          label: '',
          file: sentinelOf(cluster, label),
          why: `the description of ${label} is damaged: ${why}`,
        });
    }
    const oldestFirst = [...backups].sort((a, b) => a.stoppedAt - b.stoppedAt || a.label.localeCompare(b.label));
    for (const { label, prior } of oldestFirst) {
      progress({ what: `verifying ${label} at ${location}` });
      const found = await problemsOf(cluster, location, open, kept, label);
      damaged.push(...found);
      if (found.length > 0 || prior === undefined) continue;
      // Older ones were looked at before.
      if (damaged.some((one) => one.label === prior))
        damaged.push({ label, file: '', why: `it needs ${prior}, which is damaged` });
      else if (!backups.some((one) => one.label === prior))
        damaged.push({ label, file: '', why: `it needs ${prior}, which is not there` });
    }
    const wal = kept.filter(({ name }) => name.startsWith(walOf(cluster)));
    for (const [at, object] of wal.entries()) {
      progress({ what: `verifying WAL at ${location}`, percent: Math.floor((at * 100) / wal.length) });
      const why = await unreadableBecause(cluster, location, open, object);
      // What expired meanwhile was removed on purpose.
      if (why && (await open.find(object.name))) damaged.push({ label: '', file: object.name, why });
    }
    const bad = new Set(damaged.map(({ label }) => label));
    return { sound: backups.map(({ label }) => label).filter((label) => !bad.has(label)), damaged };
  });
}

/** Reads every byte of one backup that was just written, and waits for its WAL. Throws BackupDamaged, CommandFailed. */
export async function readBack(cluster: Cluster, location: string, label: string): Promise<boolean> {
  const { backups } = await info(cluster, [location]);
  const backup = backups.find((one) => one.label === label);
  await withLocation(cluster.context, location, async (open) => {
    const [first] = await problemsOf(cluster, location, open, await open.list(`${backupsOf(cluster)}${label}`), label);
    if (first)
      throw failure(
        'BackupDamaged',
        `${label} does not read back at ${location}: ${first.why} (${first.file})`,
        'Take another one; look at the location.',
      );
  });
  if (!backup)
    throw failure('BackupDamaged', `${label} is not listed at ${location}`, 'Take another one; look at the location.');
  await demandWal(cluster, location, backup);
  return true;
}

async function problemsOf(
  cluster: Cluster,
  location: string,
  open: Location,
  kept: Kept[],
  label: string,
): Promise<EngineVerification['damaged']> {
  const folder = `${backupsOf(cluster)}${label}/`;
  const mine = kept.filter(({ name }) => name.startsWith(folder));
  const damaged: EngineVerification['damaged'] = [];
  const names = new Set(mine.map(({ name }) => name));
  for (const file of [`${folder}metadata.json`, `${folder}files_metadata.json`])
    if (!names.has(file)) damaged.push({ label, file, why: 'it is missing' });
  if (names.has(`${folder}metadata.json`)) {
    const why = await readText(open, `${folder}metadata.json`).then(
      (json) => problemOf(() => JSON.parse(json)),
      (error: unknown) => (error as Error).message,
    );
    if (why) damaged.push({ label, file: `${folder}metadata.json`, why });
  }
  if (names.has(`${folder}files_metadata.json`)) {
    const { tars, corrupt, whole } = await readFilesMetadata(open, `${folder}files_metadata.json`);
    if (!whole) damaged.push({ label, file: `${folder}files_metadata.json`, why: 'its end is missing' });
    for (const tar of tars)
      if (!names.has(`${folder}tar_partitions/${tar}`))
        damaged.push({ label, file: `${folder}tar_partitions/${tar}`, why: 'it is missing' });
    // Kept beside it from now on: it says so in every list.
    if (corrupt && !names.has(pageErrorsOf(cluster, label)))
      await open.put(pageErrorsOf(cluster, label), Readable.from([Buffer.from('{}\n')]));
  }
  for (const object of mine.filter(({ name }) => name.startsWith(`${folder}tar_partitions/`))) {
    const why = await unreadableBecause(cluster, location, open, object);
    if (why) damaged.push({ label, file: object.name, why });
  }
  return damaged;
}

const problemOf = (look: () => unknown): string | undefined => {
  try {
    look();
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
};

/**
 * It lists every file of a backup and can be larger than memory, so it is looked through as it comes: which archives
 * there must be, whether page checksums were wrong, and whether it has its end.
 */
async function readFilesMetadata(
  open: Location,
  name: string,
): Promise<{ tars: Set<string>; corrupt: boolean; whole: boolean }> {
  const tars = new Set<string>();
  let corrupt = false;
  let rest = '';
  let depth = 0;
  for await (const chunk of await open.get(name)) {
    const bytes = chunk as Buffer;
    for (const byte of bytes) depth += byte === 0x7b ? 1 : byte === 0x7d ? -1 : 0;
    const text = rest + bytes.toString('latin1');
    for (const [, tar] of text.matchAll(/"((?:part_\d+|pg_control|backup_label)\.tar\.\w+)":\[/g)) tars.add(tar!);
    corrupt ||= /"CorruptBlocksCount":[1-9]/.test(text);
    rest = text.slice(-200);
  }
  return { tars, corrupt, whole: depth === 0 && rest.trimEnd().endsWith('}') };
}

/** zstd's first bytes: what begins so is not encrypted. */
const zstd = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);

/** Reads an object whole, through WAL-G. Returns why that fails; throws when it is the location that fails. */
async function unreadableBecause(
  cluster: Cluster,
  location: string,
  open: Location,
  { name, bytes }: Kept,
): Promise<string | undefined> {
  if (bytes === 0) return 'it is empty';
  if (cluster.context.plan.locations[location]!.encryption && (await beginning(open, name)).equals(zstd))
    throw noLibsodium(cluster, location);
  await writeConfig(cluster, [location]);
  const { code, lines } = await run(
    '/bin/sh',
    // What it writes goes nowhere; only whether it gets to its end is of interest.
    [
      ...[
        '-c',
        'command -v wal-g >/dev/null || exit 127; exec wal-g --config "$1" st cat --decrypt --decompress "$2" >/dev/null',
        'lifeboat',
      ],
      ...[configFile(cluster, location), name.slice(folderOf(cluster).length + 1)],
    ],
    { owner: await dataOwner(cluster), accept: [1] },
  );
  if (code === 0) return undefined;
  const said = tail(lines, 1).replace(/^ERROR: \S+ \S+ /, '');
  // A location that fails is no damage.
  if (isDamage({ message: said })) return said;
  throw failure(
    'LocationUnreachable',
    `${name} cannot be read at ${location}: ${said}`,
    'Look at the location, then try again.',
  );
}

async function beginning(open: Location, name: string): Promise<Buffer> {
  const stream = await open.get(name);
  try {
    for await (const chunk of stream) return (chunk as Buffer).subarray(0, 4);
  } catch (error) {
    if (!isFailure(error, 'BackupDamaged')) throw error;
  } finally {
    stream.destroy();
  }
  return Buffer.alloc(0);
}

/**
 * Only what says that the data itself is wrong: WAL-G has no codes for it. A full disk or a network that is away says
 * nothing about a backup.
 */
export function isDamage({ message }: { message: string }): boolean {
  if (
    /no space left|connection|timeout|timed out|refused|denied|no such host|status code: [45]|x509|certificate/i.test(
      message,
    )
  )
    return false;
  return /unexpected EOF|maximum output size|window size|corrupt|checksum|\bcrc\b|magic|invalid|not found in storage|does not exist|Expect pg_control|decrypt|decompress|unmarshal|unexpected end of JSON/i.test(
    message,
  );
}
