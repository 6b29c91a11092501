import { join } from 'node:path';
import { readFile, writeWhole } from '../files.js';
import type { Owner } from '../run.js';
import type { HostContext } from '../context.js';

/** A configuration file as it was: its text, or where it led as a link. */
export interface KnownFile {
  text: string;
  mode: number;
  owner?: Owner;
  link?: string;
  /** The link leads to a directory of such files. */
  directory?: true;
  /** Values that looked like secrets, and were not kept at a location that is not encrypted. */
  secretsLeftOut?: number;
}

/**
 * What the agent has seen of a database while it ran, for the day on which its directory or its configuration is gone:
 * that it lived there and nowhere else, whose it was, of which version, and how it was configured.
 */
export interface Known {
  systemIdentifier: string;
  /** The major version, as in PG_VERSION. */
  version: string;
  /** The data directory as the server says it, and with links resolved. */
  dataDirectory: string;
  real: string;
  /** The mount point that its parent was below; undefined where there is no list of mounts. */
  mount?: string;
  /** Undefined: ourselves. */
  owner?: Owner;
  /** When its configuration was last seen to be good, ISO 8601. */
  configuredAt: string;
  /** By absolute path; postgresql.conf, what it includes, pg_hba.conf, pg_ident.conf, postgresql.auto.conf. */
  files: Record<string, KnownFile>;
  /** Not seen by this agent: brought from beside a backup, by its name, and believed as far as a location is. */
  keptWith?: string;
}

/** A database on this host: cluster.ts, which asks here, stands above. */
interface Of {
  context: HostContext;
  database: string;
  scratchOnly?: true;
}

export const knownFile = ({ context, database }: Of): string => join(context.state, `known-${database}.json`);

/** Undefined when the agent has never seen it run. */
export async function readKnown(cluster: Of): Promise<Known | undefined> {
  if (cluster.scratchOnly) return undefined;
  const text = await readFile(knownFile(cluster), 'utf8').catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as Known);
}

/** For us alone: a configuration may hold passwords. */
export async function writeKnown(cluster: Of, known: Known): Promise<void> {
  await writeWhole(knownFile(cluster), JSON.stringify(known), { mode: 0o600 });
}
