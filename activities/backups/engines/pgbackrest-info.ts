import type { Cluster } from '../../postgres/cluster.js';
import type { BackupSet, RepositoryInfo } from '../engine.js';
import { pgbackrest, repo, repoNumber } from './pgbackrest-config.js';

interface InfoJson {
  backup?: {
    annotation?: Record<string, string>;
    archive: { start: string | null; stop: string | null };
    database: { 'repo-key': number };
    error: boolean | null;
    info: { size: number; repository: { delta: number; size?: number } };
    label: string;
    lsn?: { start: string; stop: string };
    prior?: string | null;
    timestamp: { start: number; stop: number };
    type: 'full' | 'diff' | 'incr';
  }[];
  db?: { 'system-id': number | string }[];
  repo?: { key: number; status: { code: number; message: string } }[];
}

/** Asks every location at once, each by itself: one that is away holds up nobody. */
export async function info(cluster: Cluster, locations: string[]): Promise<RepositoryInfo> {
  const answers = await Promise.all(
    locations.map((location) =>
      infoAt(cluster, location).catch((error: unknown): Answer => ({
        backups: [],
        unreadable: (error as Error).message,
      })),
    ),
  );
  return {
    backups: answers.flatMap(({ backups }) => backups),
    systemIdentifier: answers.map(({ systemIdentifier }) => systemIdentifier).find(Boolean),
    unreadable: Object.fromEntries(
      locations.flatMap((location, at) =>
        answers[at]!.unreadable === undefined ? [] : [[location, answers[at]!.unreadable]],
      ),
    ),
  };
}

interface Answer {
  backups: BackupSet[];
  systemIdentifier?: string | undefined;
  unreadable?: string;
}

async function infoAt(cluster: Cluster, location: string): Promise<Answer> {
  const { stdout } = await pgbackrest(cluster, [
    await repo(cluster, location),
    '--output=json',
    '--log-level-console=off',
    '--log-level-stderr=error',
    'info',
  ]);
  // JSON.parse would round the system identifier, which has more digits than a double.
  const parsed = (JSON.parse(stdout.replace(/"system-id":(\d+)/g, '"system-id":"$1"')) as InfoJson[])[0];
  const status = parsed?.repo?.find(({ key }) => key === repoNumber(cluster, location))?.status;
  return {
    // 0: ok; 2: no backups yet. 1, 3 and above: no stanza here, or it cannot be read.
    ...(status && status.code !== 0 && status.code !== 2 ? { unreadable: status.message } : {}),
    systemIdentifier: parsed?.db?.at(-1)?.['system-id'] as string | undefined,
    backups: (parsed?.backup ?? []).map((backup) => ({
      label: backup.label,
      type: backup.type,
      location,
      startedAt: backup.timestamp.start,
      stoppedAt: backup.timestamp.stop,
      databaseBytes: backup.info.size,
      repositoryBytes: backup.info.repository.size ?? backup.info.repository.delta,
      ownBytes: backup.info.repository.delta,
      walStart: backup.archive.start ?? '',
      walStop: backup.archive.stop ?? '',
      lsnStop: backup.lsn?.stop ?? '0/0',
      pageErrors: backup.error === true,
      ...(backup.prior ? { prior: backup.prior } : {}),
      annotations: backup.annotation ?? {},
    })),
  };
}
