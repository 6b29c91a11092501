import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { progress } from '../../capability.js';
import { inTurn } from '../../in-turn.js';
import type { Location } from '../../locations/location.js';
import type { RunResult } from '../../run.js';
import { damagedFiles, stillDamaged } from './digests.js';
import { inRepository, type Repository } from './repository.js';
import { restic } from './restic.js';
import type { Snapshot } from './snapshots.js';

/** By its ID, or the beginning of it. */
type Named = Pick<Snapshot, 'id'>;

/** A snapshot that cannot be restored whole, with the file of the repository that is to blame. */
export interface Flaw {
  snapshot: string;
  file: string;
  why: string;
}

/**
 * Checks a repository and says which of these snapshots suffer: its structure (every pack and every tree that is needed
 * is there, of the right size), and with `readData` every byte. Without, `known` files that were found damaged before
 * are looked at: a new snapshot may build on them. Without a lock, so that backups go on meanwhile; what it finds
 * missing is believed only when it is found again under the lock, since a prune on another host may just have moved it.
 * Source: restic.readthedocs.io, "Checking integrity".
 */
export async function flawsOf(
  repository: Repository,
  location: Location,
  snapshots: Named[],
  { readData, known = [] }: { readData: boolean; known?: string[] },
): Promise<Flaw[]> {
  return inTurn(`restic check ${repository.home}`, async () => {
    const files = readData ? await damagedFiles(location) : await stillDamaged(location, known);
    const flaws = await blameFiles(repository, files, snapshots);
    const sound = (await check(repository, { unlocked: true, cached: !readData })).code === 0;
    const again = sound ? undefined : await check(repository, { unlocked: false, cached: false });
    if (again && again.code !== 0) flaws.push(...(await blame(repository, again, snapshots)));
    return flaws;
  });
}

async function check(
  repository: Repository,
  { unlocked, cached }: { unlocked: boolean; cached: boolean },
): Promise<RunResult> {
  await removeTemporaryCaches(repository);
  progress({ what: `checking what is at ${repository.location}` });
  // 1: it found something, and its words say what. 137: it was ended, since something that it needs is lost.
  return restic(repository, ['check', ...(cached ? ['--with-cache'] : [])], {
    ledger: 'check',
    unlocked,
    accept: [1, 137],
  });
}

/** A check that was killed leaves its own copy of the index and trees. */
async function removeTemporaryCaches({ home }: Repository): Promise<void> {
  for (const name of await readdir(join(home, 'cache')).catch(() => [])) {
    if (name.startsWith('restic-check-cache-')) await rm(join(home, 'cache', name), { recursive: true, force: true });
  }
}

/**
 * What a damaged file of the repository takes with it: a snapshot itself, those that need a pack, or, of an index or a
 * key, all.
 */
async function blameFiles(repository: Repository, files: string[], snapshots: Named[]): Promise<Flaw[]> {
  const why = 'its content is not what was written: the digest differs';
  const flaws: Flaw[] = [];
  for (const file of files) {
    const [, kind, id] = /^restic\/(\w+)\/(?:..\/)?([0-9a-f]+)$/.exec(file) ?? [];
    const hit =
      kind === 'data'
        ? await needing(repository, id!, snapshots)
        : kind === 'snapshots'
          ? [id!]
          : snapshots.map((one) => one.id);
    flaws.push(...hit.map((snapshot) => ({ snapshot, file, why })));
  }
  return flaws;
}

async function blame(repository: Repository, { lines }: RunResult, snapshots: Named[]): Promise<Flaw[]> {
  const packs = new Map<string, string>();
  for (const line of lines) {
    if (/not referenced in any index/.test(line)) continue;
    const id = /\bpack\b.*?\b([0-9a-f]{64})\b/i.exec(line)?.[1];
    if (id && !packs.has(id)) packs.set(id, line);
  }
  const flaws = new Map<string, Flaw>();
  for (const [pack, line] of packs) {
    const file = inRepository(`data/${pack.slice(0, 2)}/${pack}`);
    for (const snapshot of await needing(repository, pack, snapshots)) {
      if (!flaws.has(snapshot)) flaws.set(snapshot, { snapshot, file, why: whyOf(line) });
    }
  }
  // Words that name no pack: an index, a tree. Whose they are cannot be told, so all of them are in doubt.
  const said = lines.find(
    (line) => /error|invalid|not found|damaged/i.test(line) && !/no errors|contains errors|load <snapshot/i.test(line),
  );
  if (packs.size === 0 && said) {
    const [, kind, id] = /\b(index|tree|pack|key)[ /]([0-9a-f]{8,64})/i.exec(said) ?? [];
    const file = kind ? inRepository(`${kind.toLowerCase()}/${id}`) : 'restic';
    for (const { id: snapshot } of snapshots) flaws.set(snapshot, { snapshot, file, why: said.slice(0, 300) });
  }
  return [...flaws.values()];
}

function whyOf(line: string): string {
  if (/does not exist/.test(line)) return 'it is not there';
  if (/does not match/i.test(line)) return 'its content is not what was written: the digest differs';
  if (/size/.test(line)) return 'its size is not what was written';
  return line.slice(0, 300);
}

/** The snapshots that need a pack. Where the trees of one cannot be read, it needs what is missing. */
async function needing(repository: Repository, pack: string, snapshots: Named[]): Promise<string[]> {
  const all = await find(repository, pack, snapshots);
  if (all) return all;
  const found: string[] = [];
  for (const snapshot of snapshots)
    if ((await find(repository, pack, [snapshot]))?.length !== 0) found.push(snapshot.id);
  return found;
}

async function find(repository: Repository, pack: string, snapshots: Named[]): Promise<string[] | undefined> {
  if (snapshots.length === 0) return [];
  const { code, stdout } = await restic(
    repository,
    ['find', '--json', ...snapshots.map(({ id }) => `--snapshot=${id}`), '--pack', pack],
    {
      ledger: 'find',
      unlocked: true,
      accept: [1],
    },
  );
  if (code !== 0) return undefined;
  const hits = (JSON.parse(stdout.split('\n').find((line) => line.startsWith('[')) ?? '[]') ?? []) as {
    snapshot: string;
  }[];
  return [...new Set(hits.map(({ snapshot }) => snapshot))];
}
