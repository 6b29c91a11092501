/** Who is the primary of a database is asked of its hosts; the plan says who is meant to be. */

export type Role = 'primary' | 'standby';

/** What the agent of a host sees of a database there. */
export interface Observation {
  /**
   * up: its server answers. down: no server runs. unclear: it runs and does not answer, or the agent could not be
   * asked.
   */
  server: 'up' | 'down' | 'unclear';
  /**
   * Of a server that does not answer: what it was, by its files, or when its agent saw it last. Absent: nobody can
   * tell.
   */
  role?: Role;
  systemIdentifier?: string;
  timeline?: number;
  /** How far a primary has written, and a standby has received. */
  lsn?: string;
  /** Of a running primary that is not the plan's: whether it was promoted, as far as its agent can tell. */
  promoted?: boolean;
  /** Why it did not answer. */
  why?: string;
}

/** Who is what, by what was seen. */
export interface Topology {
  primary: string;
  /** The other hosts of the database, in the order of the plan. */
  others: string[];
  /**
   * All that claim to be the primary of this very cluster: more than one, and each may have what the other does not.
   */
  primaries: string[];
}

/**
 * The primary is the host whose server is one now. Where none is, the one that was a primary on the highest timeline,
 * as far as its host can tell; else the plan's. A host that serves another cluster than the plan's primary is none of
 * it.
 */
export function topologyOf(
  planned: { primary: string; standbys: string[] },
  seen: Record<string, Observation>,
): Topology {
  const hosts = [...new Set([planned.primary, ...planned.standbys])];
  const cluster = seen[planned.primary]?.systemIdentifier;
  const own = hosts.filter((host) => {
    const { systemIdentifier } = seen[host] ?? {};
    return cluster === undefined || systemIdentifier === undefined || systemIdentifier === cluster;
  });
  const were = own.filter((host) => seen[host]?.role === 'primary');
  const timeline = (host: string) => seen[host]?.timeline ?? 0;
  const serve = were.filter((host) => seen[host]!.server === 'up');
  const highest = Math.max(...serve.map(timeline));
  const strays = serve.some((host) => seen[host]!.promoted === false);
  const primaries = own.filter((host) => {
    if (serve.length === 0 || serve.includes(host)) return serve.includes(host);
    // Promoted above the one that serves, and only down.
    if (were.includes(host) && timeline(host) > highest) return true;
    // The plan's has not been replaced by one that is no higher, and by one that was never promoted not either.
    return host === planned.primary && (strays || (were.includes(host) && timeline(host) >= highest));
  });
  // Sorting is stable: of equals it is the plan's.
  const [primary = planned.primary] = [...(primaries.length > 0 ? primaries : were)].sort(
    (a, b) => timeline(b) - timeline(a),
  );
  return { primary, others: hosts.filter((host) => host !== primary), primaries };
}

/** What to type into the plan when another host than its primary is the primary. */
export const inPlan = (database: string, { primary, others }: Pick<Topology, 'primary' | 'others'>): string =>
  `databases.${database}.postgres: primary: ${primary}, standbys: [${others.join(', ')}]`;
