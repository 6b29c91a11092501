import { formatDuration } from '../../vocabulary/units.js';
import type { Incident } from '../incident.js';
import type { Decision, Choice } from '../../vocabulary/question.js';
import type { IncidentState } from '../../vocabulary/incident.js';

/** What becomes of transactions that the restored copy holds prepared: they survive every restore, and only their application knows how they end. */

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
      ({ says, preparedAt }) => `PREPARED ${formatDuration(Math.max(0, (Date.now() - Date.parse(preparedAt)) / 1000))} ago: ${says}`,
    ),
  ];
}

/**
 * Does what was decided. One database out of the copy is dumped out of it: locks would hold that up, and a dump brings nothing that is only prepared. What
 * stays is a warning of the report, with the commands that end it.
 */
export async function settlePrepared(incident: Incident, decision: Decision): Promise<void> {
  const { state, plan } = incident;
  const { prepared = [] } = state;
  if (prepared.length === 0) return;
  if (decision.choice === 'approve') {
    incident.warn(...prepared.map(({ says }) => `left as it is by ${decision.by}: ${says}`));
    return;
  }
  const ended = await incident.step(
    'Roll back what was prepared',
    async () => {
      const done = await incident.host(plan.primary, 'change').rollBackPrepared({
        form: incident.form('scratch'),
        ...incident.names,
        prepared: prepared.map(({ gid, database }) => ({ gid, database })),
      });
      return { summary: `${done.summary}; chosen by ${decision.by}`, done: true };
    },
    { host: plan.primary, touches: 'scratch', otherwise: () => ({ summary: 'what is prepared stays as it is', done: false }) },
  );
  if (!ended.done) {
    incident.warn(...prepared.map(({ says }) => `not rolled back: ${says}`));
    return;
  }
  state.lost.push(
    ...prepared.map(
      ({ gid, owner, database, preparedAt }) =>
        `what prepared transaction "${gid}" of ${owner} in database ${database}, of ${preparedAt}, had written: rolled back in the copy, as ${decision.by} chose`,
    ),
  );
  delete state.prepared;
}
