import type { BackupKind } from '../vocabulary/backup.js';
import type { Lifeboat } from './lifeboat.js';
import { Expected } from './output.js';
import { named, type Which } from './component-option.js';

/** The component whose backup has this ID, at whichever location. Throws {@link Expected} when none has, or several. */
export async function findBackup(
  lifeboat: Lifeboat,
  id: string,
  which: Which,
): Promise<{ kind: BackupKind; component: string }> {
  const { backups, unreadable } = await lifeboat.backups.listAll(named(lifeboat.plan, which));
  const found = backups.filter((backup) => backup.id === id);
  const components = new Map(found.map(({ kind, component }) => [`${kind} ${component}`, { kind, component }]));
  const [first] = components.values();
  if (!first) {
    const away = Object.entries(unreadable).map(([location, why]) => `location ${location} cannot be read (${why})`);
    throw new Expected(
      `There is no backup ${id}${away.length > 0 ? `; but ${away.join('; ')}` : ''}.`,
      'See what there is: lifeboat backup list',
    );
  }
  if (components.size > 1) {
    throw new Expected(
      `Several backups have the ID ${id}: of ${[...components.keys()].join(', ')}.`,
      `Say which: --${first.kind === 'physical' || first.kind === 'logical' ? 'database' : first.kind} ${first.component}`,
    );
  }
  return first;
}
