import { closeSync, openSync, readdirSync, readSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import type { Lab } from '../lab.js';
import { makeDirectory, runAsDatabaseUser } from '../os-user.js';
import { freePort } from '../ports.js';
import { tool } from '../tools.js';

/**
 * What an administrator types who has the same backup, the same target and the same configuration: the measure for our
 * restore.
 */

export interface Restore {
  label: string;
  target: string;
}

/**
 * `pgbackrest restore` into an empty directory and a start of it. Returns the seconds from the first command to a
 * promoted server.
 */
export async function restoreByHand(lab: Lab, { label, target }: Restore): Promise<number> {
  const home = makeDirectory(join(lab.directory, 'by-hand'));
  const directory = makeDirectory(join(home, 'data'), 0o700);
  const port = await freePort();
  try {
    const began = performance.now();
    await runAsDatabaseUser(
      tool('pgbackrest'),
      [
        // The file that Lifeboat wrote: process-max, compression and passphrase are the same.
        `--config=${join(lab.env['LIFEBOAT_STATE_DIR']!, lab.system, 'db1', 'pgbackrest', 'main.conf')}`,
        `--stanza=${lab.system}-main`,
        `--pg1-path=${directory}`,
        `--set=${label}`,
        '--type=time',
        `--target=${target.replace('T', ' ').replace('Z', '+00')}`,
        '--target-action=promote',
        // Without it, PostgreSQL would ask the archive for newer timelines, and lose half a second.
        '--target-timeline=1',
        '--archive-mode=off',
        'restore',
      ],
      home,
    );
    const settings = { listen_addresses: '', unix_socket_directories: home, archive_mode: 'off' };
    const flags = [`-p ${port}`, ...Object.entries(settings).map(([name, value]) => `-c ${name}='${value}'`)].join(' ');
    await runAsDatabaseUser(
      tool('pg_ctl'),
      ['-D', directory, '-l', join(home, 'log'), '-w', '-t', '600', '-o', flags, 'start'],
      home,
    );
    await promoted({
      host: home,
      port,
      user: 'postgres',
      password: lab.primary.passwords.superuser,
      database: 'postgres',
    });
    return (performance.now() - began) / 1000;
  } finally {
    await runAsDatabaseUser(tool('pg_ctl'), ['-D', directory, '-m', 'immediate', '-w', 'stop'], home).catch(
      () => undefined,
    );
    rmSync(home, { recursive: true, force: true });
  }
}

async function promoted(config: pg.ClientConfig): Promise<void> {
  const client = new pg.Client(config);
  client.on('error', () => undefined);
  await client.connect();
  try {
    for (;;) {
      const { rows } = await client.query<{ recovering: boolean }>('SELECT pg_is_in_recovery() AS recovering');
      if (rows[0]?.recovering === false) return;
      await pause(10);
    }
  } finally {
    await client.end().catch(() => undefined);
  }
}

/**
 * Before each restore, ours or by hand: everything earlier is on disk, and all of the backups are in the page cache.
 */
export async function samePageCache(lab: Lab): Promise<void> {
  await runAsDatabaseUser('sync', [], '/');
  const chunk = Buffer.alloc(1 << 20);
  for (const entry of readdirSync(join(lab.directory, 'backups'), { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = openSync(join(entry.parentPath, entry.name), 'r');
    while (readSync(file, chunk) > 0);
    closeSync(file);
  }
}
