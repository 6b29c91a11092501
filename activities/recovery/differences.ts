import { lstat, readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { readMark, writeMark } from '../backups/restored-mark.js';
import { bringConfiguration } from '../postgres/configuration.js';
import type { Cluster } from '../postgres/cluster.js';
import type { Scratch } from '../postgres/scratch.js';
import { slotsOf } from '../postgres/slots.js';
import { walDisk } from '../postgres/wal-disk.js';

/**
 * Makes a restored copy what it is to be in production's place, as far as a backup has not got it, and says what is
 * different from before, a line each, for the person who approves: configuration, replication slots, WAL and
 * tablespaces on other disks.
 */
export async function bringProduction(cluster: Cluster, scratch: Scratch): Promise<string[]> {
  const earlier = (await readMark(scratch))?.differences ?? [];
  const lines = await bringConfiguration(cluster, scratch.directory);
  // What an earlier attempt has brought is there already, and no difference any more.
  const differences = [...new Set([...earlier, ...lines])];
  const mark = await readMark(scratch);
  if (mark) await writeMark(scratch, { ...mark, differences });
  return [
    ...differences,
    ...(await slots(cluster)),
    ...(await wal(cluster, scratch)),
    ...(await tablespaces(cluster, scratch)),
  ];
}

async function slots({ dataDirectory }: Cluster): Promise<string[]> {
  const found = await slotsOf(dataDirectory);
  const of = (kind: string) => found.filter((slot) => slot.kind === kind).map(({ name }) => name);
  const [physical, logical] = [of('physical'), of('logical')];
  return [
    ...(physical.length > 0
      ? [`replication slots that are made again, without the WAL that they held: ${physical.join(', ')}`]
      : []),
    ...(logical.length > 0
      ? [
          `logical replication slots that are gone afterwards: ${logical.join(', ')}; whoever reads from them must be set up again`,
        ]
      : []),
  ];
}

async function wal({ dataDirectory }: Cluster, scratch: Scratch): Promise<string[]> {
  const disk = await walDisk(dataDirectory, (await readMark(scratch))?.incident ?? '');
  return disk ? [`pg_wal is at ${disk.was}, and that of the copy goes to ${disk.goes} when it is put in place`] : [];
}

async function tablespaces({ dataDirectory }: Cluster, scratch: Scratch): Promise<string[]> {
  const lines: string[] = [];
  for (const oid of await readdir(join(scratch.directory, 'pg_tblspc')).catch((): string[] => [])) {
    const now = await linkOf(join(scratch.directory, 'pg_tblspc', oid));
    const before = await linkOf(join(dataDirectory, 'pg_tblspc', oid));
    if (now !== undefined)
      lines.push(
        `tablespace ${oid}${before === undefined ? '' : ` was at ${before}, and`} is at ${now} afterwards: keep that directory`,
      );
  }
  return lines;
}

const linkOf = async (path: string): Promise<string | undefined> =>
  (await lstat(path).catch(() => undefined))?.isSymbolicLink() ? readlink(path) : undefined;
