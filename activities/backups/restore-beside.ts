import { copyFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { ApplicationFailure } from '@temporalio/common';
import { parseTarget, type Target } from '../../plan/target.js';
import { type Capability, progress } from '../capability.js';
import { checkpoint } from '../checkpoint.js';
import type { HostContext } from '../context.js';
import { failure, isFailure } from '../errors.js';
import { exists, makeDirectory, ownFor, removeTree } from '../files.js';
import { demandSpace } from '../postgres/check-request.js';
import { clusterOf, type Cluster, dataOwner, provenDataDirectory } from '../postgres/cluster.js';
import { type Scratch, scratchOf } from '../postgres/scratch.js';
import { ledger, stopServer } from '../postgres/server.js';
import type { Candidate } from './candidates.js';
import { pgbackrest, repoNumber } from './pgbackrest.js';
import { damaged, recover } from './recover.js';
import { discardScratch, type Mark, readMark, type Restored, writeMark } from './restored-mark.js';
import { isWritten } from './wal.js';

export interface RestoreInput {
  database: string;
  incident: string;
  candidate: Candidate;
  target: string;
}
/**
 * Restores a backup into a new directory beside the damaged one and recovers it to the target. What is believed is the server's own log, its
 * paused state and the canary; the exit code of the restore proves nothing.
 * Source: field-notes, "PITR, always into a new directory"; pgbackrest.org, command restore.
 */
export const restoreBeside = (context: HostContext): Capability<RestoreInput, Restored> => ({
  async rehearse({ database, candidate }) {
    const cluster = clusterOf(context, database);
    const directory = await provenDataDirectory(cluster);
    const room = await demandSpace(cluster, directory, candidate.databaseBytes);
    return {
      summary: `could be restored from ${candidate.label} at ${candidate.location}: ${room}`,
      timeline: candidate.timeline,
      bytes: candidate.databaseBytes,
      seconds: 0,
    };
  },

  async execute(input) {
    const cluster = clusterOf(context, input.database);
    const target = parseTarget(input.target);
    const scratch = scratchOf(cluster, input.incident);
    const began = Date.now();
    const mark = await readMark(scratch);
    const same = mark !== undefined && mark.incident === input.incident && isDeepStrictEqual(sourceOf(mark), sourceOf(asked(input)));
    if (same && mark.restored) return mark.restored;
    // Another candidate or another target was tried before: its copy is ours, and of no more use.
    if (mark && !same) await discardScratch(cluster, scratch);
    await fetchFiles(cluster, input, target, scratch);
    const recovered = await recover(cluster, target, scratch, input.candidate);
    const restored: Restored = { ...recovered, bytes: input.candidate.databaseBytes, seconds: Math.round((Date.now() - began) / 100) / 10 };
    await writeMark(scratch, { ...asked(input), stage: 'recovered', restored });
    return restored;
  },
});

const asked = ({ incident, candidate: { label, location }, target }: RestoreInput) => ({ incident, label, location, target });
const sourceOf = ({ label, location, target }: Omit<Mark, 'stage'>) => ({ label, location, target });

/** The command of pgBackRest for a target. Exported for the test that reads it. */
export function restoreArguments(cluster: Cluster, input: RestoreInput, target: Target, directory: string): string[] {
  const kind = {
    latest: () => ['--type=default'],
    backup: () => ['--type=immediate', '--target-action=pause'],
    time: () => [
      '--type=time',
      `--target=${(target as { iso: string }).iso.replace('T', ' ').replace('Z', '+00')}`,
      '--target-action=pause',
    ],
    lsn: () => ['--type=lsn', `--target=${(target as { lsn: string }).lsn}`, '--target-exclusive', '--target-action=pause'],
  }[target.kind]();
  return [
    `--pg1-path=${directory}`,
    `--repo=${repoNumber(cluster, input.candidate.location)}`,
    `--set=${input.candidate.label}`,
    ...kind,
    // pgBackRest takes --target-timeline for no type "immediate"; PostgreSQL would follow the newest timeline there is, which may be a stray one.
    target.kind === 'backup'
      ? `--recovery-option=recovery_target_timeline=${input.candidate.timeline}`
      : `--target-timeline=${input.candidate.timeline}`,
    '--archive-mode=off',
    // Once more at once, and not again after 15 s: a file that is damaged stays so, and the next backup waits.
    '--job-retry=1',
    `--tablespace-map-all=${directory}.tablespaces`,
    '--log-level-console=detail',
    'restore',
  ];
}

async function fetchFiles(cluster: Cluster, input: RestoreInput, target: Target, scratch: Scratch): Promise<void> {
  const { candidate } = input;
  const mark = await readMark(scratch);
  if (mark && mark.stage !== 'files') return;
  const production = await provenDataDirectory(cluster).catch(() => cluster.dataDirectory);
  const owner = await dataOwner(cluster);
  if (!mark && (await exists(scratch.directory))) {
    throw failure(
      'WrongTarget',
      `${scratch.directory} is there already, and Lifeboat did not make it`,
      'Move it away, then: lifeboat decide retry',
    );
  }
  if (!mark) await demandSpace(cluster, production, candidate.databaseBytes);
  await writeMark(scratch, { ...asked(input), stage: 'files' });
  // --delta, since a killed attempt may have left files, and only ever on a directory that we made ourselves. pgBackRest goes on from such
  // a directory only when it knows it as its own; before that there is nothing worth keeping in it.
  const left = await readdir(scratch.directory).catch((): string[] => []);
  const resumed = left.includes('PG_VERSION') || left.includes('backup.manifest');
  if (!resumed) await removeTree(scratch.directory);
  await makeDirectory(scratch.directory, owner);
  await makeDirectory(`${scratch.directory}.tablespaces`, owner);
  await checkpoint('after making the scratch directories');
  const started = Date.now();
  if (resumed) await stopServer(cluster, scratch.directory);
  await pgbackrest(cluster, [...(resumed ? ['--delta', '--force'] : []), ...restoreArguments(cluster, input, target, scratch.directory)], {
    ledger: ledger(cluster, 'pgbackrest-restore', input.incident),
    onLine: (line) => {
      const percent = Number(/ restore file .*, ([\d.]+)%\)/.exec(line)?.[1]);
      if (percent > 0) {
        const elapsed = (Date.now() - started) / 1000;
        progress({
          what: `restoring ${candidate.label}`,
          percent,
          bytesDone: Math.round((candidate.databaseBytes * percent) / 100),
          bytesTotal: candidate.databaseBytes,
          secondsLeft: Math.round((elapsed * (100 - percent)) / percent),
        });
      }
    },
  }).catch((error: unknown) => {
    throw isFailure(error, 'CommandFailed') && isDamage(error) ? damaged(candidate, error.message) : error;
  });
  if (target.kind !== 'backup') await copyTail(cluster, production, scratch, candidate.timeline);
  await writeMark(scratch, { ...asked(input), stage: 'fetched' });
}

/**
 * Only what pgBackRest itself calls damaged: a checksum (26), a format (29), a read (42), a missing file (55), a decryption (95). A full disk, a
 * network that is away or a process that was ended say nothing about the backup.
 */
function isDamage({ details, message }: ApplicationFailure): boolean {
  const { code } = (details?.[0] ?? {}) as { code?: number };
  return [26, 29, 42, 55, 95].includes(code ?? 0) || /checksum|does not match|decompress|corrupt|unexpected eof/i.test(message);
}

/**
 * The WAL that the damaged server had written and not yet archived lies in its own pg_wal: with it, the copy loses nothing that was
 * committed, and a target of a moment ago can be reached: recovery stops at the first commit after it, which may be in there. Recovery
 * checks every record's CRC, and takes from there only what the archive does not have.
 */
async function copyTail(cluster: Cluster, production: string, scratch: Scratch, timeline: number): Promise<void> {
  const wal = join(production, 'pg_wal');
  const archived = new Set(await readdir(join(wal, 'archive_status')).catch(() => []));
  const own = timeline.toString(16).toUpperCase().padStart(8, '0');
  const owner = await dataOwner(cluster);
  for (const segment of await readdir(wal).catch(() => [])) {
    if (!/^[0-9A-F]{24}$/.test(segment) || !segment.startsWith(own) || archived.has(`${segment}.done`)) continue;
    if (!(await isWritten(join(wal, segment)))) continue;
    const to = join(scratch.directory, 'pg_wal', segment);
    await copyFile(join(wal, segment), to);
    await checkpoint('after copying WAL that was not archived');
    await ownFor(to, owner);
  }
}
