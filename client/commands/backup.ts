import type { Command } from 'commander';
import * as cleanup from './backup/cleanup.js';
import * as create from './backup/create.js';
import * as list from './backup/list.js';
import * as restore from './backup/restore.js';
import * as test from './backup/test.js';
import * as verify from './backup/verify.js';

/** `lifeboat backup create|list|verify|restore|test|cleanup`. */
export function register(program: Command): void {
  const backup = program
    .command('backup')
    .description('take, list, verify, restore and clean up backups')
    .addHelpText(
      'after',
      '\nWithout a plan file, DATABASE_URL, BACKUP_DIR, BACKUP_RETENTION_DAYS (30) and BACKUP_COMPRESSION (true) say what is dumped, where to, how long it is kept, and whether compressed.',
    );
  for (const command of [create, list, verify, restore, test, cleanup]) command.register(backup);
}
