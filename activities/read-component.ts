import type { BackupKind } from '../vocabulary/backup.js';
import type { Plan } from '../plan/schema.js';
import type { ControlContext } from './context.js';
import { failure } from './errors.js';

/** What a workflow needs to know of a component: where its backups are made and kept. Names only. */
export interface ComponentFacts {
  /** The host that takes and restores its backups. Of a database: its primary, as the plan means it. */
  host: string;
  /** Other hosts that it may have been promoted on. */
  standbys?: string[];
  /** Hosts that can read its backups, the nearest first. */
  readers: string[];
  locations: string[];
  /** The kinds of backup that the plan has of it. */
  kinds: BackupKind[];
  verificationHost?: string;
  restoreTestHost?: string;
  summary: string;
}

/**
 * Resolves a component of the plan into names. Throws BadRequest when the plan has none such, or no backups of that
 * kind.
 */
export const readComponent =
  ({ plan, planDigest }: ControlContext) =>
  ({ kind, component }: { kind: BackupKind; component: string }): Promise<ComponentFacts> => {
    const facts =
      kind === 'physical' || kind === 'logical' ? database(plan, kind, component) : other(plan, kind, component);
    return Promise.resolve({ ...facts, summary: `plan ${planDigest}` });
  };

function database(plan: Plan, kind: 'physical' | 'logical', component: string): Omit<ComponentFacts, 'summary'> {
  const of = plan.databases[component];
  if (!of) throw unknown(plan, 'database', component, Object.keys(plan.databases));
  const { physical, logical, verification, restoreTest } = of.backups;
  const kinds = [...(physical ? (['physical'] as const) : []), ...(logical ? (['logical'] as const) : [])];
  if (!kinds.includes(kind)) {
    throw failure(
      'BadRequest',
      `the plan takes no ${kind} backups of ${component}`,
      `It takes ${kinds.join(' and ')}; add backups.${kind} to the plan, then: lifeboat check`,
    );
  }
  const { primary, standbys } = of.postgres;
  const readers = [primary, verification?.host, restoreTest?.host, ...standbys].filter((host) => host !== undefined);
  return {
    host: primary,
    readers: [...new Set(readers)],
    locations: (kind === 'physical' ? physical : logical)!.locations,
    kinds,
    ...(of.postgres.dataDirectory === undefined || standbys.length === 0 ? {} : { standbys }),
    ...(verification ? { verificationHost: verification.host } : {}),
    ...(restoreTest ? { restoreTestHost: restoreTest.host } : {}),
  };
}

function other(plan: Plan, kind: 'files' | 'redis' | 'code', component: string): Omit<ComponentFacts, 'summary'> {
  const of = plan[kind][component];
  if (!of) throw unknown(plan, kind, component, Object.keys(plan[kind]));
  return { host: of.host, readers: [of.host], locations: of.locations, kinds: [kind] };
}

const unknown = (plan: Plan, what: string, component: string, names: string[]) =>
  failure(
    'BadRequest',
    `the plan of ${plan.system} has no ${what} "${component}"; it has ${names.join(', ') || 'none'}`,
    'Is the plan of the control worker the current one? Compare: lifeboat doctor',
  );
