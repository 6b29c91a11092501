import { lstat } from 'node:fs/promises';
import { progress } from '../../capability.js';
import { checkpoint } from '../../checkpoint.js';
import type { HostContext } from '../../context.js';
import { failure } from '../../errors.js';
import type { Location } from '../../locations/location.js';
import type { BackupKind, BackupRecord } from '../../../vocabulary/backup.js';
import { readRecords, writeRecord } from '../record.js';
import { flawsOf } from './check.js';
import { ensureRepository } from './init.js';
import { type Repository, repositoryOf, resticVersion } from './repository.js';
import { restic } from './restic.js';
import { contentsOf, forget, isOf, type Snapshot, snapshotsWith, tagOf } from './snapshots.js';

export interface ToTake {
  kind: Extract<BackupKind, 'files' | 'redis'>;
  component: string;
  run: string;
  id: string;
  began: Date;
  paths: string[];
  exclude: string[];
  tools?: Record<string, string>;
  /** Proves more of the snapshot than its structure, and returns what else the record holds. */
  prove?: (repository: Repository, snapshot: Snapshot) => Promise<Partial<BackupRecord>>;
}

/** The tag that tells the snapshots of a component from all others in the repository. */
export const componentTag = ({ plan }: HostContext, kind: BackupKind, component: string): string =>
  tagOf('component', `${plan.system}/${kind}/${component}`);
export const idTag = (id: string): string => tagOf('id', id);

/**
 * Takes a snapshot of paths of this host at a location, reads it back, and writes its record. A snapshot without a
 * record, of an attempt that was killed or that could not read everything, is forgotten: what it already sent is not
 * sent again.
 */
export async function takeSnapshot(context: HostContext, location: Location, take: ToTake): Promise<BackupRecord> {
  const began = Date.now();
  const repository = await repositoryOf(context, location.name);
  await ensureRepository(repository);
  const summary = await backup(repository, take);
  const read = Date.now();
  // At once: each start of restic takes half a second to derive its key.
  const work = [
    snapshotsWith(repository, tagOf('run', take.run)),
    contentsOf(repository, summary.snapshot_id),
    knownDamage(location, context, take).then((known) =>
      flawsOf(repository, location, [{ id: summary.snapshot_id }], { readData: false, known }),
    ),
  ] as const;
  // None is under way any more when one has failed: a check that went on would hold the repository's lock.
  await Promise.allSettled(work);
  const [listed, { bytes }, [flaw]] = await Promise.all(work);
  const ofRun = listed.filter((one) => isOf(one, componentTag(context, take.kind, take.component)));
  const snapshot = ofRun.find(({ id }) => id.startsWith(summary.snapshot_id));
  const others = ofRun.filter((one) => one !== snapshot).map(({ id }) => id);
  if (others.length > 0) await forget(repository, others, { prune: false });
  if (!snapshot) {
    throw failure(
      'CommandFailed',
      `restic says that it took the backup, and it is not listed at ${location.name}`,
      'Retry; else lifeboat doctor',
    );
  }
  if (flaw) {
    throw failure(
      'BackupDamaged',
      `what was taken at ${location.name} cannot be restored: ${flaw.file}: ${flaw.why}`,
      `Move restic/ at ${location.name} aside, and on each host restic/${location.name}/seen in the agent's state: a new one is made. Or repair it, as restic's manual says.`,
    );
  }
  const proven = await take.prove?.(repository, snapshot);
  const record: BackupRecord = {
    id: take.id,
    system: context.plan.system,
    kind: take.kind,
    component: take.component,
    type: take.kind,
    timestamp: take.began.toISOString(),
    database: take.component,
    location: location.name,
    size: summary.data_added_packed ?? summary.data_added,
    dataBytes: bytes,
    compression: 'zstd',
    encryption: context.plan.locations[location.name]?.encryption ? 'restic' : 'none',
    files: [],
    snapshot: snapshot.id,
    tools: { restic: await resticVersion(), ...take.tools },
    seconds: Math.round((Date.now() - began) / 100) / 10,
    verifySeconds: Math.round((Date.now() - read) / 100) / 10,
    run: take.run,
    ...proven,
  };
  await checkpoint('before the record of a backup');
  await writeRecord(location, record);
  await checkpoint('after the record of a backup');
  return record;
}

/**
 * Files of the repository that a verification found damaged: restic does not know, and goes on to build on what is in
 * them.
 */
async function knownDamage(location: Location, { plan }: HostContext, { kind, component }: ToTake): Promise<string[]> {
  const records = await readRecords(location, plan.system, kind, component);
  const files = records.map(({ damaged }) => /restic\/data\/..\/[0-9a-f]{64}/.exec(damaged?.why ?? '')?.[0]);
  return [...new Set(files.filter((file) => file !== undefined))];
}

interface Summary {
  snapshot_id: string;
  data_added: number;
  /** From restic 0.16 on: as it is stored. */
  data_added_packed?: number;
}
type Line =
  | {
      message_type: 'status';
      percent_done: number;
      bytes_done?: number;
      total_bytes?: number;
      seconds_remaining?: number;
    }
  | { message_type: 'error'; item?: string; error?: { message?: string; Op?: string; Err?: number } }
  | ({ message_type: 'summary' } & Summary);

/** Source: restic.readthedocs.io, "Scripting", JSON output of backup. */
async function backup(repository: Repository, take: ToTake): Promise<Summary> {
  const { context, location } = repository;
  let summary: Summary | undefined;
  const unread = new Set<string>();
  const onLine = (text: string) => {
    const line = parsed(text);
    if (line?.message_type === 'summary') summary = line;
    if (line?.message_type === 'error' && line.item) unread.add(line.item);
    if (line?.message_type === 'status') {
      progress({
        what: `${take.kind} backup of ${take.component} at ${location}`,
        percent: Math.round(line.percent_done * 1000) / 10,
        ...(line.bytes_done === undefined ? {} : { bytesDone: line.bytes_done }),
        ...(line.total_bytes === undefined ? {} : { bytesTotal: line.total_bytes }),
        ...(line.seconds_remaining === undefined ? {} : { secondsLeft: line.seconds_remaining }),
      });
    }
  };
  const tags = [componentTag(context, take.kind, take.component), tagOf('run', take.run), idTag(take.id)];
  const { code } = await restic(
    repository,
    [
      ...['backup', '--json', `--host=${context.host}`],
      ...tags.map((tag) => `--tag=${tag}`),
      ...take.exclude.map((pattern) => `--exclude=${pattern}`),
      ...['--', ...take.paths],
    ],
    { ledger: `backup-${take.kind}-${take.component}`, accept: [3], onLine },
  );
  // What was deleted while it ran is no fault: the backup is of a moment after that.
  const missed = code === 3 ? await stillThere([...unread]) : [];
  if (missed.length > 0 || (code === 3 && unread.size === 0) || !summary) {
    const names = missed.slice(0, 5).join(', ') + (missed.length > 5 ? ` and ${missed.length - 5} more` : '');
    await forgetRun(repository, take).catch(() => undefined);
    throw failure(
      'CommandFailed',
      `not everything could be read on ${context.host}: ${names || 'restic does not say what'}`,
      'Give the agent the right to read it, or exclude it in the plan; then retry.',
    );
  }
  return summary;
}

async function forgetRun(repository: Repository, take: ToTake): Promise<void> {
  const tag = componentTag(repository.context, take.kind, take.component);
  const found = (await snapshotsWith(repository, tagOf('run', take.run))).filter((one) => isOf(one, tag));
  await forget(
    repository,
    found.map(({ id }) => id),
    { prune: false },
  );
}

async function stillThere(paths: string[]): Promise<string[]> {
  const found: string[] = [];
  for (const path of paths) {
    const gone = await lstat(path).then(
      () => false,
      (error: unknown) => ['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? ''),
    );
    if (!gone) found.push(path);
  }
  return found;
}

function parsed(text: string): Line | undefined {
  if (!text.startsWith('{')) return undefined;
  try {
    return JSON.parse(text) as Line;
  } catch {
    return undefined;
  }
}
