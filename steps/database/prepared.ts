import type { IncidentState } from '../../vocabulary/incident.js';
import type { Choice } from '../../vocabulary/question.js';
import { formatDuration } from '../../vocabulary/units.js';

/**
 * Transactions that the restored copy holds prepared: they survive every restore, and only their application knows how
 * they end.
 */

export const preparedChoice: Choice = {
  name: 'rollback-prepared',
  meaning: 'roll back in the copy what is prepared in it (what it wrote is lost), then put it in place',
  needs: ['reason'],
};

export function preparedFacts({ prepared = [] }: IncidentState): string[] {
  if (prepared.length === 0) return [];
  const [it, stays, keeps, holds] =
    prepared.length === 1
      ? ['1 transaction', 'It stays', 'keeps its', 'holds']
      : [`${prepared.length} transactions`, 'They stay', 'keep their', 'hold'];
  return [
    `PREPARED: ${it} in the copy. ${stays} with approve, and then ${keeps} locks and ${holds} VACUUM back until somebody commits or rolls back; rollback-prepared ends what is listed here`,
    ...prepared.map(
      ({ says, preparedAt }) =>
        `PREPARED ${formatDuration(Math.max(0, (Date.now() - Date.parse(preparedAt)) / 1000))} ago: ${says}`,
    ),
  ];
}
