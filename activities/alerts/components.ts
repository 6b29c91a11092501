import { type BackupKind, type BackupType, physicalTypes } from '../../vocabulary/backup.js';
import type { Plan } from '../../plan/schema.js';
import type { HostContext } from '../context.js';

/** What is backed up by this host, and when. */
export interface Component {
  kind: BackupKind;
  name: string;
  locations: string[];
  /** When each type is taken; types without a schedule are missing. */
  schedules: { type: BackupType; cron: string }[];
  /** When the newest one is proven restorable. */
  verification?: string;
  /** How old the newest one may be, in seconds, where backups are all that there is of it. */
  rpo?: number;
}

/** What files, Redis servers and code have in common in the plan. */
interface Scheduled {
  host: string;
  locations: string[];
  schedule?: string | undefined;
  objectives?: Plan['objectives'] | undefined;
}

/** The components that this host backs up: databases where their primary is (`ours`), the others by the plan. */
export function componentsOf({ plan, host }: HostContext, ours: readonly string[]): Component[] {
  const found: Component[] = [];
  const scheduled = (type: BackupType, cron: string | undefined) => (cron === undefined ? [] : [{ type, cron }]);
  for (const [name, { backups }] of Object.entries(plan.databases)) {
    if (!ours.includes(name)) continue;
    const { physical, logical, verification } = backups;
    const verified = verification?.schedule === undefined ? {} : { verification: verification.schedule };
    if (physical) {
      const schedules = physicalTypes.flatMap((type) => scheduled(type, physical[type]));
      found.push({ kind: 'physical', name, locations: physical.locations, schedules, ...verified });
    }
    // Which kind is verified is the provider's business: where there are both, the base backups are what a recovery
    // takes.
    if (logical)
      found.push({
        kind: 'logical',
        name,
        locations: logical.locations,
        schedules: scheduled('logical', logical.schedule),
        ...(physical ? {} : verified),
      });
  }
  for (const kind of ['files', 'redis', 'code'] as const) {
    for (const [name, of] of Object.entries<Scheduled>(plan[kind])) {
      const rpo = of.objectives ? { rpo: of.objectives.rpo } : {};
      if (of.host === host)
        found.push({ kind, name, locations: of.locations, schedules: scheduled(kind, of.schedule), ...rpo });
    }
  }
  return found;
}
