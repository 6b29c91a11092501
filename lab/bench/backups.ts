import { randomBytes } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import type { PlanFile } from '../../plan/schema.js';
import { createLab, type Lab } from '../lab.js';
import { destroyLab, makeLabDirectory } from '../cleanup.js';
import { makeDirectory } from '../os-user.js';
import { secretNames } from '../plan-file.js';
import { labVariable } from '../processes.js';
import { startVersitygw, type Versitygw } from '../servers/versitygw.js';
import { addDocuments, databaseMegabytes, orders } from './documents.js';
import { measureLarge, memoryRows, watchAgent } from './backup-memory.js';
import { type ByHand, byHand } from './pipes.js';
import { type Part, say } from './table.js';
import { ours, slower, slowerToTake, told, type Turn, turns } from './turns.js';

/**
 * Backups and their restores, against what an administrator types who has no Lifeboat; and the memory of the agent,
 * small and large.
 */

const pairs = 3;
const bucket = 'backups';
const fileMegabytes = 600;
const keys = { id: 'BENCH_S3_ID', key: 'BENCH_S3_KEY' };

export async function measureBackups(): Promise<Part> {
  say('backups: a database of about 600 MB, an S3 service with TLS');
  const outside = makeLabDirectory();
  try {
    const env = { ...process.env, [labVariable]: outside };
    const s3 = await startVersitygw({ directory: join(outside, 's3'), buckets: [bucket], env });
    const uploads = join(outside, 'uploads');
    const lab = await createLab({
      rows: orders,
      service: false,
      env: { [keys.id]: s3.accessKeyId, [keys.key]: s3.secretAccessKey },
      plan: (plan) => change(plan, s3, uploads),
    });
    try {
      return await measure(lab, s3, makeDirectory(join(outside, 'by-hand')), uploads);
    } finally {
      await lab.stop();
    }
  } finally {
    destroyLab(outside);
  }
}

function change(plan: PlanFile, s3: Versitygw, uploads: string): void {
  const { endpoint, caFile, region } = s3;
  plan.locations['s3'] = {
    s3: {
      bucket,
      prefix: 'lifeboat',
      region,
      endpoint,
      caFile,
      pathStyle: true,
      accessKeyId: `env:${keys.id}`,
      secretAccessKey: `env:${keys.key}`,
    },
    encryption: `env:${secretNames.passphrase}`,
  };
  const { backups } = plan.databases['main']!;
  // Nothing is removed meanwhile, by us or by the bare tools.
  backups.physical!.keep = { full: 30 };
  backups.logical = { locations: ['s3'], keep: { last: 30 } };
  plan.files = { uploads: { host: 'db1', paths: [uploads], locations: ['onsite'], keep: { last: 30 } } };
}

async function measure(lab: Lab, s3: Versitygw, home: string, uploads: string): Promise<Part> {
  await lab.startControl();
  await lab.startAgents();
  await addDocuments(lab);
  const megabytes = await databaseMegabytes(lab);
  const hand = await byHand(lab, s3, bucket, home);
  const connection = await Connection.connect({ address: lab.temporalAddress });
  const temporal = new Client({ connection });
  const memory = watchAgent(lab);
  try {
    const dumps = await measureDumps(lab, temporal, hand);
    const physical = await measurePhysical(lab, temporal, hand);
    const files = await measureFiles(lab, temporal, hand, uploads);
    const large = await measureLarge(lab, temporal);
    const spans = (all: Turn[]) => all.map((turn) => turn.ours.span);
    const small = { megabytes, backups: spans(dumps.backups), restores: spans(dumps.restores) };
    const figures = { dumps: dumps.backups, restores: dumps.restores, physical, files, megabytes };
    return {
      rows: [
        faster(
          `dump of ${megabytes} MB to S3, throughput against pg_dump -Fc | aws s3 cp (median of ${pairs} pairs)`,
          dumps.backups,
        ),
        faster(
          `restore of it from S3, throughput against aws s3 cp | pg_restore (median of ${pairs} pairs)`,
          dumps.restores,
        ),
        ...bare(`full backup of ${megabytes} MB, against pgbackrest backup (median of ${pairs} pairs)`, physical),
        ...bare(`backup of ${fileMegabytes} MB of files, against restic backup (median of ${pairs} pairs)`, files),
        ...memoryRows(memory, small, large),
      ],
      lines: [
        told('dumps', dumps.backups),
        told('restores', dumps.restores),
        told('physical', physical),
        told('files', files),
      ],
      figures: { backups: figures },
    };
  } finally {
    memory.stop();
    await connection.close();
  }
}

async function measureDumps(lab: Lab, temporal: Client, hand: ByHand): Promise<{ backups: Turn[]; restores: Turn[] }> {
  let id = '';
  const backups = await turns(lab, {
    what: 'dump to S3',
    pairs,
    byHand: () => hand.dump('by-hand.dump'),
    async lifeboat() {
      const made = await ours(lab, temporal, 'logical', 'main', ['backup', 'create', '--logical']);
      id = made.id;
      return made;
    },
  });
  const restores = await turns(lab, {
    what: 'restore from S3',
    pairs,
    async byHand() {
      const seconds = await hand.restore('by-hand.dump', 'by_hand');
      await lab.primary.sql('DROP DATABASE by_hand', [], 'postgres');
      return seconds;
    },
    async lifeboat() {
      const made = await ours(lab, temporal, 'logical', 'main', ['backup', 'restore', id, '--into', 'restored']);
      await lab.primary.sql('DROP DATABASE restored', [], 'postgres');
      return made;
    },
  });
  return { backups, restores };
}

async function measurePhysical(lab: Lab, temporal: Client, hand: ByHand): Promise<Turn[]> {
  // It writes the configuration and makes the stanza, which the bare tool needs, too.
  await ours(lab, temporal, 'physical', 'main', ['backup', 'create', '--full']);
  return turns(lab, {
    what: 'full backup',
    pairs,
    byHand: () => hand.pgbackrest(),
    lifeboat: () => ours(lab, temporal, 'physical', 'main', ['backup', 'create', '--full']),
  });
}

/** New files for each pair, so that neither repository has any of them yet. */
async function measureFiles(lab: Lab, temporal: Client, hand: ByHand, uploads: string): Promise<Turn[]> {
  try {
    return await turns(lab, {
      what: 'files',
      pairs,
      byHand(turn) {
        writeFiles(uploads, turn);
        return hand.restic([uploads]);
      },
      lifeboat: () => ours(lab, temporal, 'files', 'uploads', ['backup', 'create', '--files', 'uploads']),
    });
  } finally {
    rmSync(uploads, { recursive: true, force: true });
  }
}

/** Half of them compress to a half, as text does; the other half do not, as pictures. */
function writeFiles(directory: string, turn: number): void {
  rmSync(directory, { recursive: true, force: true });
  for (let file = 0; file < fileMegabytes; file += 1) {
    const folder = join(directory, `${turn}-${file % 20}`);
    mkdirSync(folder, { recursive: true });
    writeFileSync(
      join(folder, `file-${file}`),
      file % 2 === 0 ? randomBytes(1_000_000) : Buffer.from(randomBytes(500_000).toString('hex')),
    );
  }
}

function faster(what: string, all: Turn[]): Part['rows'][number] {
  const throughput = 1 / slower(all);
  return { what, measured: `${throughput.toFixed(2)}x`, aim: 'at least 1.0x', met: throughput >= 1 };
}

function bare(what: string, all: Turn[]): Part['rows'] {
  const row = (which: string, ratio: number) => ({
    what: `${what}${which}`,
    measured: `${ratio.toFixed(3)}x`,
    aim: 'at most 1.05x',
    met: ratio <= 1.05,
  });
  return [row(', without its verification', slowerToTake(all)), row(', with its verification', slower(all))];
}
