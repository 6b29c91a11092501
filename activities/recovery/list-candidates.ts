import { describeTarget, parseTarget } from '../../vocabulary/target.js';
import { looking } from '../capability.js';
import type { HostContext } from '../context.js';
import { failure } from '../errors.js';
import { demandReachable } from './check-request.js';
import { clusterOf } from '../postgres/cluster.js';
import { type Candidates, findCandidates } from '../backups/candidates.js';
import type { StandbyWal } from '../backups/standby-wal.js';

/** The backups that can reach the target, in the order in which they are tried. Throws NoBackup when there is none. */
export const listCandidates = (context: HostContext) =>
  looking<{ database: string; target: string; standbys?: StandbyWal[] }, Candidates & { summary: string }>(
    async ({ database, target: text, standbys = [] }) => {
      const cluster = clusterOf(context, database);
      const target = parseTarget(text);
      // A target that a person gives in the middle of an incident was not looked at when it was declared.
      await demandReachable(cluster, cluster.dataDirectory, target);
      const found = await findCandidates(cluster, target, cluster.dataDirectory, { standbys });
      const [first] = found.candidates;
      if (!first) {
        throw failure(
          'NoBackup',
          `no backup of ${database} can reach ${describeTarget(target)}: ${found.passedOver.slice(0, 4).join('; ')}`,
          'Choose another target: lifeboat decide restore --to TIME',
        );
      }
      const others = found.candidates.length - 1;
      return {
        ...found,
        summary: `${first.label} at ${first.location}, taken ${first.takenAt}${others > 0 ? `; ${others} more if it is damaged` : ''}`,
      };
    },
  );
