import type { HostContext } from '../../context.js';
import { withLocation } from '../../locations/open.js';
import type { BackupProvider } from '../provider.js';
import { backupPrefix, recordName } from '../record.js';
import { listLogical, logicalOf } from './dump-names.js';
import { restoreLogical } from './restore.js';
import { takeLogical } from './take.js';
import { testRestoreLogical } from './test-restore.js';
import { verifyLogical } from './verify.js';

/** Dumps of one database by pg_dump, at any location. */
export const logical: BackupProvider = {
  kind: 'logical',
  take: (context) => takeLogical(context),
  list: listLogical,
  verify: verifyLogical,
  testRestore: testRestoreLogical,
  restore: restoreLogical,
  remove: removeLogical,
  keep: (context, component) => logicalOf(context, component).keep,
};

/**
 * The record first: what has none is not listed, and a killed removal is finished by the next one, or cleared away
 * before the next dump.
 */
async function removeLogical(context: HostContext, component: string, name: string, ids: string[]): Promise<void> {
  await withLocation(context, name, async (location) => {
    for (const id of ids) {
      const of = { system: context.plan.system, kind: 'logical' as const, component, id };
      await location.remove(recordName(of));
      for (const kept of await location.list(backupPrefix(of))) await location.remove(kept.name);
    }
  });
}
