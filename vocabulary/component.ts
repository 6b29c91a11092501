/**
 * What an incident recovers has its own objectives and figures; those of the incident are what they come to together.
 */

export interface RowCheck {
  table: string;
  expected: number | null;
  found: number | null;
  ok: boolean;
}

export interface Measured {
  /** From the declaration to the verified service; null: not measured, and `rtoNote` says why. */
  rtoSeconds: number | null;
  rtoNote?: string;
  /** Declared moment less the restored canary. */
  rpoSeconds: number | null;
  rpoNote?: string;
}

export interface ComponentRecord {
  name: string;
  kind: 'database' | 'service';
  /** A service holds no data of its own, and has no RPO. */
  objectives: { rtoSeconds: number; rpoSeconds?: number };
  measured: Measured;
  rows: RowCheck[];
  /** What the plan's own checks found wrong with what was restored of it. */
  doubts: string[];
  /** What was lost of it, in sentences. */
  lost: string[];
}

/** What the plan says of a component. */
export type ComponentFacts = Pick<ComponentRecord, 'name' | 'kind' | 'objectives'>;

/** Nothing is measured yet. */
export const newComponent = ({ name, kind, objectives }: ComponentFacts): ComponentRecord => ({
  ...{ name, kind, objectives, rows: [], doubts: [], lost: [] },
  measured: {
    ...{ rtoSeconds: null, rtoNote: 'the service is not verified yet', rpoSeconds: null },
    ...(kind === 'database' ? { rpoNote: 'nothing was restored' } : {}),
  },
});

export interface Totals {
  measured: Measured;
  rows: RowCheck[];
  doubts: string[];
  lost: string[];
}

/**
 * The incident is over when its last component serves, and has lost as much as the one that lost most. Where one was
 * not measured, neither was the whole.
 */
export function totalsOf(components: ComponentRecord[]): Totals {
  const databases = components.filter(({ kind }) => kind === 'database');
  const several = databases.length > 1;
  const named = (name: string, line: string) => (several ? `${name}: ${line}` : line);
  return {
    measured: { ...rto(components), ...rpo(databases, named) },
    rows: databases.flatMap(({ name, rows }) =>
      several ? rows.map((row) => ({ ...row, table: `${name}.${row.table}` })) : rows,
    ),
    doubts: databases.flatMap(({ name, doubts }) => doubts.map((line) => named(name, line))),
    lost: databases.flatMap(({ name, lost }) => lost.map((line) => named(name, line))),
  };
}

function rto(components: ComponentRecord[]): Pick<Measured, 'rtoSeconds' | 'rtoNote'> {
  const without = components.find(({ measured }) => measured.rtoSeconds === null);
  const note = (without ?? components.find(({ measured }) => measured.rtoNote !== undefined))?.measured.rtoNote;
  return {
    rtoSeconds: worst(components.map(({ measured }) => measured.rtoSeconds)),
    ...(note === undefined ? {} : { rtoNote: note }),
  };
}

function rpo(
  databases: ComponentRecord[],
  named: (name: string, line: string) => string,
): Pick<Measured, 'rpoSeconds' | 'rpoNote'> {
  const without = databases.find(({ measured }) => measured.rpoSeconds === null);
  const one = without ?? databases.find(({ measured }) => measured.rpoNote !== undefined);
  const note = one?.measured.rpoNote;
  return {
    rpoSeconds: worst(databases.map(({ measured }) => measured.rpoSeconds)),
    ...(note === undefined ? {} : { rpoNote: named(one!.name, note) }),
  };
}

const worst = (seconds: (number | null)[]): number | null =>
  seconds.some((one) => one === null) || seconds.length === 0 ? null : Math.max(...(seconds as number[]));
