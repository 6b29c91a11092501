import type { Capability } from '../capability.js';
import type { HostContext } from '../context.js';
import { isFailure } from '../errors.js';
import { startClosed } from '../postgres/closed-server.js';
import { closedSocket } from '../postgres/closed-socket.js';
import { markClosing, noteOwnWrites } from '../postgres/closing.js';
import { clusterOf, provenDataDirectory, type Cluster, whatIsGone } from '../postgres/cluster.js';
import { answers, one, withClient } from '../postgres/connect.js';
import { missingSince } from './end-of-recovery.js';
import { type EvidenceFile, keepEvidence } from '../postgres/evidence.js';
import { lookForDamage } from '../postgres/look-for-damage.js';
import type { DamagedIndex } from '../postgres/repair.js';

export type Classification = 'healthy' | 'repairable' | 'not repairable' | 'logically wrong';

export interface Assessment {
  summary: string;
  classification: Classification;
  findings: string[];
  /** For REINDEX. */
  damagedIndexes: DamagedIndex[];
  /** What nothing is said of, in sentences. */
  notChecked?: string[];
  files: EvidenceFile[];
}

/**
 * Looks at the damaged database and says what it is, and what could not be looked at. Damage of indexes alone, of
 * whichever kind, is repairable; of a table, a sequence, a catalog or a server that will not start it is not; sound
 * pages with missing or wrong rows are logically wrong, and only a restore brings them back. Throws CannotLook when the
 * host keeps us from looking, which is no damage.
 */
export const assess = (
  context: HostContext,
): Capability<{ database: string; incident: string; round: number }, Assessment> => ({
  async rehearse({ database }) {
    const cluster = clusterOf(context, database);
    await provenDataDirectory(cluster);
    const has = await withClient(cluster, {}, (client) =>
      one<boolean>(client, `select exists(select from pg_available_extensions where name = 'amcheck')`),
    );
    return {
      summary: has
        ? 'could be assessed: amcheck is available. Taken as not repairable, so that the restore is drilled'
        : 'amcheck is not available on this server: only reads would be checked',
      classification: 'not repairable',
      findings: [],
      damagedIndexes: [],
      files: [],
    };
  },

  async execute({ database, incident, round }) {
    const cluster = clusterOf(context, database);
    const directory = await provenDataDirectory(cluster);
    const gone = await whatIsGone(cluster);
    if (gone) return verdict('not repairable', [gone], []);
    const down = await bringUp(cluster, incident);
    if (down) return verdict('not repairable', [`the server does not start: ${down}`], []);
    const found = await lookForDamage(cluster, directory).finally(() => noteOwnWrites(cluster, incident));
    found.physical.push(...(await missingSince(cluster).catch(() => [])));
    const file = await keepEvidence(
      context,
      incident,
      `${database}-amcheck-${round}.txt`,
      [
        ...found.did,
        '',
        ...[...found.physical, ...found.damaged, ...found.logical],
        '',
        ...found.notChecked.map((line) => `not checked: ${line}`),
      ].join('\n'),
    );
    const { physical, damaged, logical, damagedIndexes, notChecked } = found;
    if (physical.length > 0)
      return verdict('not repairable', [...physical, ...damaged, ...logical], [file], notChecked);
    if (damagedIndexes.length > 0)
      return { ...verdict('repairable', [...damaged, ...logical], [file], notChecked), damagedIndexes };
    return verdict(logical.length > 0 ? 'logically wrong' : 'healthy', logical, [file], notChecked);
  },
});

function verdict(
  classification: Classification,
  findings: string[],
  files: EvidenceFile[],
  notChecked: string[] = [],
): Assessment {
  const first = findings[0];
  const more = findings.length > 1 ? ` (and ${findings.length - 1} more)` : '';
  const nothing =
    notChecked.length > 0 ? 'nothing wrong was found in what could be checked' : 'nothing wrong was found';
  const left =
    notChecked[0] === undefined
      ? ''
      : `; not checked: ${notChecked[0]}${notChecked.length > 1 ? ` (and ${notChecked.length - 1} more)` : ''}`;
  return {
    summary: `${classification}: ${first ? `${first}${more}` : nothing}${left}`,
    classification,
    findings: findings.slice(0, 50),
    damagedIndexes: [],
    notChecked: notChecked.slice(0, 50),
    files,
  };
}

/** Starts a server that is down (it is closed, so nobody gets in). Returns why it could not be. */
async function bringUp(cluster: Cluster, incident: string): Promise<string | undefined> {
  try {
    if (!(await answers(cluster))) await startClosed(cluster);
    if (await closedSocket(cluster)) await markClosing(cluster, incident);
    return undefined;
  } catch (error) {
    if (isFailure(error, 'ServerFailed') || isFailure(error, 'CommandFailed')) return error.message;
    throw error;
  }
}
