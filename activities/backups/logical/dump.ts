import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { ApplicationFailure } from '@temporalio/common';
import type pg from 'pg';
import { progress } from '../../capability.js';
import { cancelled } from '../../capability.js';
import type { HostContext } from '../../context.js';
import { failure } from '../../errors.js';
import type { Location } from '../../locations/location.js';
import { conninfo, type Source } from '../../postgres/source.js';
import type { Programs } from '../../postgres/programs.js';
import { compressor, encrypterFor, encodedName } from './coding.js';
import { fileName } from './dump-names.js';
import { stream, type Streaming } from './program.js';
import type { KeptFile } from './read-back.js';
import { type Branch, branch, stallMilliseconds, tee } from './tee.js';

export interface Sent {
  location: Location;
  file: KeptFile;
}

export interface Sending {
  context: HostContext;
  /** System, component and ID of the backup. */
  of: { system: string; component: string; id: string };
  locations: Location[];
  compressed: boolean;
  /** Names of locations that dropped out, with why. */
  failed: Record<string, string>;
  stall?: number;
}

/**
 * Streams the output of a program to every location at once: program -> zstd -> (age ->) location. It is published
 * nowhere when the program does not end with 0: every upload is ended with its error first. Returns where it is now; a
 * location that failed is in `failed`. Throws what the program threw, or LocationUnreachable when no location took it.
 */
export async function send(
  sending: Sending,
  file: string,
  program: Streaming,
  onBytes: (bytes: number) => void,
): Promise<Sent[]> {
  const { context, of, locations, compressed, failed } = sending;
  const signal = cancelled();
  const branches: Branch[] = [];
  const puts = locations.map(async (location): Promise<Sent | undefined> => {
    const out = branch(location.name);
    branches.push(out);
    try {
      const encrypter = await encrypterFor(context, location.name);
      const name = fileName(of, encodedName(file, { compressed, encrypted: encrypter !== undefined }));
      if (!encrypter) return { location, file: { name, ...(await location.put(name, out.stream, { signal })) } };
      const sealed = pipeline(out.stream, encrypter);
      sealed.catch(() => undefined);
      return { location, file: { name, ...(await location.put(name, encrypter, { signal })) } };
    } catch (error) {
      // Whatever is still fed into it has nowhere to go.
      const own = out.stream.errored;
      const cause = own instanceof ApplicationFailure ? own : error;
      out.stream.destroy();
      failed[location.name] = (cause as Error).message;
      return undefined;
    }
  });
  try {
    await feed(program, compressed, branches, onBytes, sending.stall ?? stallMilliseconds);
  } catch (error) {
    await Promise.all(puts);
    signal?.throwIfAborted();
    throw error;
  } finally {
    program.end();
  }
  const sent = (await Promise.all(puts)).filter((one) => one !== undefined);
  signal?.throwIfAborted();
  if (sent.length > 0) return sent;
  throw failure(
    'LocationUnreachable',
    `no location took the backup: ${told(failed)}`,
    'Check the locations: lifeboat doctor',
  );
}

export const told = (failed: Record<string, string>): string =>
  Object.entries(failed)
    .map(([name, why]) => `${name}: ${why}`)
    .join('; ');

/** A pipe gives 64 KB at a time: in blocks of this size, zstd is asked less often, and is done sooner. */
const blockBytes = 512 * 1024;

/**
 * The end of the program's output is only the end of the stream when it ended well: so an upload cannot be completed
 * before that is known.
 */
async function* whole(program: Streaming, onBytes: (bytes: number) => void): AsyncGenerator<Buffer> {
  let waiting: Buffer[] = [];
  let held = 0;
  for await (const chunk of program.stdout as AsyncIterable<Buffer>) {
    onBytes(chunk.length);
    waiting.push(chunk);
    held += chunk.length;
    if (held < blockBytes) continue;
    yield Buffer.concat(waiting);
    [waiting, held] = [[], 0];
  }
  if (held > 0) yield Buffer.concat(waiting);
  await program.done;
}

async function feed(
  program: Streaming,
  compressed: boolean,
  branches: Branch[],
  onBytes: (bytes: number) => void,
  stall: number,
): Promise<void> {
  if (!compressed) return tee(whole(program, onBytes), branches, stall);
  const zstd = compressor();
  const squeezed = pipeline(whole(program, onBytes), zstd);
  squeezed.catch(() => undefined);
  await tee(zstd as AsyncIterable<Buffer>, branches, stall);
}

/**
 * pg_dump in custom format, uncompressed: zstd is ten times as fast as what it has of its own. Source: PostgreSQL
 * manual, pg_dump.
 */
export function pgDump(source: Source, { directory }: Programs, snapshot: string): Streaming {
  const args = [
    '--format=custom',
    '--compress=0',
    `--snapshot=${snapshot}`,
    // A lock that is never given would hold the backup, and all after it, without a word.
    '--lock-wait-timeout=15min',
    '--no-password',
    `--dbname=${conninfo(source.name)}`,
  ];
  return stream(join(directory, 'pg_dump'), args, source);
}

/** Roles and tablespaces. Without the passwords of roles where we may not read them (a managed database). */
export function pgDumpGlobals(source: Source, { directory }: Programs, passwords: boolean): Streaming {
  const args = [
    '--globals-only',
    '--no-password',
    ...(passwords ? [] : ['--no-role-passwords']),
    `--dbname=${conninfo(source.name)}`,
  ];
  return stream(join(directory, 'pg_dumpall'), args, source);
}

export async function mayReadPasswords(client: pg.Client): Promise<boolean> {
  const { rows } = await client.query<{ may: boolean }>(
    `select has_table_privilege('pg_catalog.pg_authid', 'select') as may`,
  );
  return rows[0]!.may;
}

/** Tells how far something is, every now and then: bytes, percent, and the seconds left at the pace so far. */
export function meter(what: string, total: number): (bytes: number) => void {
  const began = Date.now();
  let done = 0;
  let told = 0;
  return (bytes) => {
    done += bytes;
    const now = Date.now();
    if (now - told < 250) return;
    told = now;
    const bytesTotal = Math.max(done, total);
    const seconds = (now - began) / 1000;
    const secondsLeft = seconds > 1 ? Math.round(((bytesTotal - done) * seconds) / done) : undefined;
    progress({
      what,
      bytesDone: done,
      bytesTotal,
      percent: Math.floor((100 * done) / Math.max(1, bytesTotal)),
      ...(secondsLeft === undefined ? {} : { secondsLeft }),
    });
  };
}
