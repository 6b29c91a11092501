import { physicalOf } from '../../plan/access.js';
import { type Capability, progress } from '../capability.js';
import type { HostContext } from '../context.js';
import { failure } from '../errors.js';
import { claimedBy } from '../postgres/claim.js';
import { isClosed } from '../postgres/fence.js';
import { type Cluster, clusterOf } from '../postgres/cluster.js';
import { takeKnownRows } from '../postgres/known-rows.js';
import { ledger } from '../postgres/server.js';
import { ensureArchiving } from './protect.js';
import { type BackupSet, locationsOf, pgbackrest, repoNumber, repositoryInfo } from './pgbackrest.js';
import type { PhysicalType } from '../../plan/kinds.js';
import type { BackupResult, TakeRequest, VerifyRequest, VerifyResult } from '../../workflows/messages.js';

const pgType = { full: 'full', differential: 'diff', incremental: 'incr' } as const;

/** Takes a physical backup at every location and reads it back there. A location that fails is named, and the others go on. */
export const backupPhysical = (context: HostContext): Capability<TakeRequest, BackupResult> => ({
  async rehearse({ component: database, type }) {
    const cluster = clusterOf(context, database);
    const info = await repositoryInfo(cluster);
    const unreadable = Object.entries(info.unreadable).map(([location, why]) => `${location}: ${why}`);
    return {
      summary: `could be taken at ${locationsOf(cluster).join(', ')}`,
      id: '',
      type,
      component: database,
      locations: [],
      bytes: 0,
      seconds: 0,
      failed: unreadable,
    };
  },

  async execute({ component: database, type, run, incident }) {
    const cluster = clusterOf(context, database);
    const holder = await claimedBy(cluster);
    if (holder && holder !== incident) {
      throw failure(
        'BadRequest',
        `no backup is taken of ${database} while incident ${holder} is open on it`,
        'It is taken when the incident re-protects the database; or close the incident.',
      );
    }
    if (!incident && (await isClosed(cluster))) {
      throw failure(
        'BadRequest',
        `no backup is taken of ${database} while it is closed: an incident ended and left it so`,
        'Recover it (lifeboat start database-corruption), or resume on it as it stands: lifeboat abort --resume',
      );
    }
    const began = Date.now();
    await ensureArchiving(cluster);
    const rows = await takeKnownRows(cluster).catch(() => undefined);
    const taken: BackupSet[] = [];
    const failed: string[] = [];
    for (const location of locationsOf(cluster)) {
      try {
        taken.push(
          sound(
            (await takenBy(cluster, run, location)) ??
              (await take(cluster, { type: type as PhysicalType, run, location, rows: rows?.counts })),
          ),
        );
      } catch (error) {
        failed.push(`${location}: ${(error as Error).message}`);
      }
    }
    // While an incident is open nothing is expired: it may yet be restored from.
    if (!incident)
      for (const { location } of taken)
        await expire(cluster, location).catch((error: unknown) =>
          failed.push(`${location}: old backups were not expired: ${(error as Error).message}`),
        );
    const first = taken[0];
    if (!first) throw failure('CommandFailed', `no location took the backup: ${failed.join('; ')}`, 'Check the locations: lifeboat doctor');
    const result = {
      id: first.label,
      type,
      component: database,
      locations: taken.map(({ location }) => location),
      bytes: first.repositoryBytes,
      seconds: Math.round((Date.now() - began) / 100) / 10,
    };
    const missing = failed.length > 0 ? `; NOT at ${failed.join('; ')}` : '';
    return { ...result, summary: `${type} backup ${first.label} at ${result.locations.join(', ')}${missing}`, failed };
  },
});

async function takenBy(cluster: Cluster, run: string, location: string): Promise<BackupSet | undefined> {
  const { backups } = await repositoryInfo(cluster);
  return backups.find((backup) => backup.location === location && backup.annotations['lifeboat-run'] === run);
}

async function take(
  cluster: Cluster,
  { type, run, location, rows }: { type: PhysicalType; run: string; location: string; rows: Record<string, number | null> | undefined },
): Promise<BackupSet> {
  await pgbackrest(
    cluster,
    [
      `--repo=${repoNumber(cluster, location)}`,
      `--type=${pgType[type]}`,
      `--annotation=lifeboat-run=${run}`,
      ...(rows ? [`--annotation=lifeboat-rows=${JSON.stringify(rows)}`] : []),
      // pgBackRest would expire older backups before anybody has looked whether this one is sound.
      '--no-expire-auto',
      '--log-level-console=detail',
      'backup',
    ],
    {
      ledger: ledger(cluster, 'pgbackrest-backup'),
      onLine: (line) => {
        const percent = / backup file .*, ([\d.]+)%\)/.exec(line)?.[1];
        if (percent) progress({ what: `${type} backup at ${location}`, percent: Number(percent) });
      },
    },
  );
  const backup = await takenBy(cluster, run, location);
  if (!backup)
    throw failure(
      'CommandFailed',
      `pgBackRest says that it took the backup, and it is not listed at ${location}`,
      'Check the location: lifeboat backup list',
    );
  return backup;
}

/** Expires what the plan no longer keeps at a location, and only while it holds as many sound full backups as the plan keeps. */
async function expire(cluster: Cluster, location: string): Promise<void> {
  const { backups } = await repositoryInfo(cluster);
  const full = backups.filter((backup) => backup.location === location && backup.type === 'full');
  const kept = full.slice(0, physicalOf(cluster.plan).keep.full);
  if (kept.some(({ pageErrors }) => pageErrors)) return;
  await pgbackrest(cluster, [`--repo=${repoNumber(cluster, location)}`, 'expire'], { ledger: ledger(cluster, 'pgbackrest-expire') });
}

function sound(backup: BackupSet): BackupSet {
  if (!backup.pageErrors) return backup;
  throw failure(
    'BackupDamaged',
    `pgBackRest found damaged pages in the database while it took ${backup.label}`,
    'The database itself is damaged: lifeboat start database-corruption',
  );
}

/** Reads every file of every backup at every location and compares its checksum. Returns what does not match, by location. */
export const verifyPhysical = (context: HostContext): Capability<VerifyRequest, VerifyResult> => {
  const look = async ({ component: database, location: only }: VerifyRequest): Promise<VerifyResult> => {
    const cluster = clusterOf(context, database);
    const damaged: VerifyResult['damaged'] = [];
    for (const location of locationsOf(cluster).filter((one) => !only || one === only)) {
      progress({ what: `verifying every file at ${location}` });
      const result = await pgbackrest(cluster, [`--repo=${repoNumber(cluster, location)}`, '--log-level-console=info', 'verify'], {
        accept: Array.from({ length: 125 }, (_, code) => code + 1),
      });
      const problems = result.lines.filter(
        (line) =>
          /invalid checksum|missing file|invalid size|invalid result|ERROR/.test(line) && !/(checksum|file|size|invalid)\w*: 0/.test(line),
      );
      damaged.push(...problems.map((line) => ({ id: '', location, file: '', why: line.replace(/^.*(INFO|ERROR|WARN): /, '').trim() })));
    }
    return {
      summary:
        damaged.length === 0
          ? `every file at ${locationsOf(cluster).join(', ')} is whole`
          : `damaged at ${damaged[0]!.location}: ${damaged[0]!.why}`,
      sound: 0,
      damaged,
      failed: [],
    };
  };
  return { rehearse: look, execute: look };
};
