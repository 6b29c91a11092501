import type { HostContext } from '../../context.js';
import { withLocation } from '../../locations/open.js';
import type { BackupKind } from '../../../vocabulary/backup.js';
import { readRecords, recordName } from '../record.js';
import { hasRepository } from './init.js';
import { repositoryOf } from './repository.js';
import { forget, isOf, snapshotsWith } from './snapshots.js';
import { componentTag, idTag } from './take.js';

/**
 * A snapshot without a record is a backup that is being taken, or one that never got whole; after this it is the
 * latter.
 */
const abandonedAfter = 2 * 24 * 3600_000;

/**
 * Removes backups: the records first, so that nothing half-removed is listed; then their snapshots, and once what no
 * other one needs.
 */
export async function removeSnapshots(
  context: HostContext,
  kind: BackupKind,
  component: string,
  name: string,
  ids: string[],
): Promise<void> {
  const { system } = context.plan;
  await withLocation(context, name, async (location) => {
    for (const id of ids) await location.remove(recordName({ system, kind, component, id }));
    const repository = await repositoryOf(context, name);
    if (!(await hasRepository(repository, location))) return;
    const kept = new Set((await readRecords(location, system, kind, component)).map(({ snapshot }) => snapshot));
    const snapshots = await snapshotsWith(repository, componentTag(context, kind, component));
    const going = snapshots.filter(
      (snapshot) =>
        !kept.has(snapshot.id) &&
        (ids.some((id) => isOf(snapshot, idTag(id))) || Date.now() - Date.parse(snapshot.time) > abandonedAfter),
    );
    // Pruned in any case: an earlier attempt may have been killed between the two.
    await forget(
      repository,
      going.map(({ id }) => id),
      { prune: ids.length > 0 },
    );
  });
}
