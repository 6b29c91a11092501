import { createHash } from 'node:crypto';
import type { Cluster } from '../../postgres/cluster.js';
import { run } from '../../run.js';
import { dataOwner } from '../../postgres/cluster.js';
import { failure } from '../../errors.js';
import { progress } from '../../capability.js';
import type { EngineVerification } from '../engine.js';
import { info } from './pgbackrest-info.js';
import { namedByBundle } from './pgbackrest-bundles.js';
import { pgbackrest, repo } from './pgbackrest-config.js';

const anyCode = Array.from({ length: 125 }, (_, code) => code + 1);

/** Each file is a request of its own, and the answers are waited for: more at once than a backup has. */
const inParallel = ['--process-max=4'];

type Damaged = EngineVerification['damaged'];

/**
 * Everything that a location has, by pgBackRest's own `verify`, which names each file that is wrong in its log, and
 * each backup in its report; what it leaves open is looked at here: whether each manifest is that of the backup it lies
 * with, and can be read.
 */
export async function verify(cluster: Cluster, location: string): Promise<EngineVerification> {
  const { backups, unreadable } = await info(cluster, [location]);
  if (unreadable[location] !== undefined)
    throw failure(
      'LocationUnreachable',
      `the repository at ${location} cannot be read: ${unreadable[location]}`,
      'Is it mounted? Are its credentials right?',
    );
  const repository = await repo(cluster, location);
  const result = await pgbackrest(
    cluster,
    [repository, '--output=text', '--verbose', '--job-retry=1', ...inParallel, '--log-level-console=info', 'verify'],
    {
      // Damage is an answer, whatever the code: the report is believed.
      accept: anyCode,
      onLine: (line) => {
        const backup = /backup: (\S+), status/.exec(line)?.[1];
        progress({ what: `verifying every file at ${location}${backup ? `: ${backup} is done` : ''}` });
      },
    },
  );
  const reported = readReport(cluster.stanza, result.lines);
  if (!reported.complete)
    throw failure(
      'CommandFailed',
      `pgbackrest verify of ${location} did not come to its end: ${result.lines.slice(-3).join(' | ')}`,
      'Read what it said, then try again.',
    );
  const damaged = fewOfEach(await namedByBundle(cluster, repository, reported.damaged));
  for (const { label, prior } of backups) {
    const why = await manifestProblem(cluster, repository, label);
    if (why) damaged.push({ label, file: `backup/${cluster.stanza}/${label}/backup.manifest`, why });
    // pgBackRest looks at what a backup refers to; that the one it refers to can be restored at all is one more thing.
    else if (prior && damaged.some((one) => one.label === prior) && !damaged.some((one) => one.label === label))
      damaged.push({ label, file: '', why: `it needs ${prior}, which is damaged` });
  }
  const bad = new Set(damaged.map(({ label }) => label));
  return { sound: backups.map(({ label }) => label).filter((label) => !bad.has(label)), damaged };
}

/** When a whole folder is gone each of its files is named; a person reads a few, and a history holds no megabytes. */
function fewOfEach(damaged: Damaged, most = 10): Damaged {
  const seen = new Map<string, number>();
  return damaged.filter(({ label }) => {
    seen.set(label, (seen.get(label) ?? 0) + 1);
    return label === '' || seen.get(label)! <= most;
  });
}

/**
 * What the log and the report of `pgbackrest verify` say. In its log a file that is wrong has a line of its own
 * (`invalid checksum 'LABEL/pg_data/base/5/1259.zst'`), in its report a backup (`backup: LABEL, status: invalid`).
 * Source: src/command/verify/verify.c of pgBackRest 2.45, verifyErrorMsg() and verifyRender().
 */
function readReport(stanza: string, lines: string[]): { damaged: Damaged; complete: boolean } {
  const damaged: Damaged = [];
  for (const line of lines) {
    const [, why, quoted, bare] =
      /: (invalid checksum|file missing|invalid size|invalid result) (?:'([^']+)'|(\S+):)/.exec(line) ?? [];
    const file = quoted ?? bare;
    if (!why || !file) continue;
    const label = labelOf(file);
    damaged.push({
      label,
      file: `${label ? 'backup' : 'archive'}/${stanza}/${file}`,
      why: why === 'invalid result' ? 'it cannot be read' : why,
    });
  }
  for (const line of lines) {
    const [, label, status] = /backup: (\S+), status: ([^,]+)/.exec(line) ?? [];
    if (!label || !status || status === 'valid' || status === 'in-progress') continue;
    if (damaged.some((one) => one.label === label)) continue;
    const [missing] = status === 'manifest missing' ? [`backup/${stanza}/${label}/backup.manifest`] : [];
    damaged.push({
      label,
      file: missing ?? '',
      why: status === 'invalid' ? 'a file that it needs from an earlier one is damaged' : status,
    });
  }
  return { damaged, complete: lines.some((line) => /^\s*status: (ok|error)/.test(line)) };
}

/**
 * `20261121-120510F_20261121-120516I/pg_data/...`: files of a backup lie below its label, WAL below the version and
 * system.
 */
const labelOf = (file: string): string => /^(\d{8}-\d{6}F(?:_\d{8}-\d{6}[DI])?)\//.exec(file)?.[1] ?? '';

/** Why the manifest of a backup is not its own or cannot be read; undefined when it is well. */
async function manifestProblem(cluster: Cluster, repository: string, label: string): Promise<string | undefined> {
  const read = await readManifest(cluster, repository, `${label}/backup.manifest`);
  if (read.code !== 0) return `its manifest cannot be read: ${read.says}`;
  if (read.label !== label) return `its manifest is that of ${read.label ?? 'nothing'}`;
  // There are two of each, and pgBackRest takes the copy when the first cannot be read.
  const copy = await readManifest(cluster, repository, `${label}/backup.manifest.copy`);
  if (copy.code === 0 && copy.digest !== read.digest) return 'it differs from its copy';
  // Loads it, and compares it with its own checksum.
  const detail = await pgbackrest(
    cluster,
    [repository, '--log-level-console=off', '--log-level-stderr=error', `--set=${label}`, 'info'],
    {
      accept: anyCode,
    },
  );
  return detail.code === 0 ? undefined : `its manifest is damaged: ${detail.lines.slice(-2).join(' ')}`;
}

async function readManifest(
  cluster: Cluster,
  repository: string,
  file: string,
): Promise<{ code: number; label: string | undefined; digest: string; says: string }> {
  let label: string | undefined;
  const hash = createHash('sha256');
  const { code, lines } = await pgbackrest(
    cluster,
    [repository, '--log-level-console=off', '--log-level-stderr=error', 'repo-get', `backup/${cluster.stanza}/${file}`],
    {
      accept: anyCode,
      discard: true,
      onLine: (line) => {
        hash.update(`${line}\n`);
        label ??= /^backup-label="(.*)"$/.exec(line)?.[1];
      },
    },
  );
  return { code, label, digest: hash.digest('hex'), says: lines.slice(-2).join(' ') };
}

/** `verify --set` reads one backup and its WAL; newer ones than Debian 12's have it, and say so themselves. */
async function verifiesOne(cluster: Cluster): Promise<boolean> {
  const { lines } = await run('pgbackrest', ['help', 'verify'], { owner: await dataOwner(cluster), accept: [1] });
  return lines.some((line) => /^\s*--set\s/.test(line));
}

/** Reads back what was just written. True when it was every byte: where pgBackRest can do that for one backup. */
export async function readBack(cluster: Cluster, location: string, label: string): Promise<boolean> {
  const repository = await repo(cluster, location);
  const unsound = (why: string) =>
    failure(
      'BackupDamaged',
      `${label} does not read back at ${location}: ${why}`,
      'Take another one; look at the location.',
    );
  const why = await manifestProblem(cluster, repository, label);
  if (why) throw unsound(why);
  if (!(await verifiesOne(cluster))) return false;
  const { lines } = await pgbackrest(
    cluster,
    [
      repository,
      '--output=text',
      '--verbose',
      '--job-retry=1',
      ...inParallel,
      '--log-level-console=info',
      `--set=${label}`,
      'verify',
    ],
    {
      accept: anyCode,
    },
  );
  const { damaged, complete } = readReport(cluster.stanza, lines);
  const [first] = await namedByBundle(cluster, repository, damaged);
  if (first) throw unsound(`${first.why}${first.file ? `: ${first.file}` : ''}`);
  return complete;
}
