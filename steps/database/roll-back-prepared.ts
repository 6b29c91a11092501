import type { PreparedInCopy } from '../../vocabulary/incident.js';
import { type OnDatabase, step } from '../step.js';

interface Decided extends OnDatabase {
  prepared: PreparedInCopy[];
  /** Who chose it. */
  by: string;
}

/**
 * One database out of the copy is dumped out of it: locks would hold that up, and a dump brings nothing that is only
 * prepared.
 */
export const rollBackPrepared = step({
  name: 'Roll back what was prepared',
  does: 'Transactions that the copy holds prepared (PREPARE TRANSACTION), which would keep their locks until somebody ends them, are rolled back in it.',
  when: 'a person chose it',
  touches: 'scratch',
  host: ({ host }: Decided) => host,
  async run(at, { database, host, prepared, by }: Decided) {
    const done = await at
      .on(host, 'change')
      .rollBackPrepared({ database, prepared: prepared.map((one) => ({ gid: one.gid, database: one.database })) });
    at.component(database).lost.push(
      ...prepared.map(
        (one) =>
          `what prepared transaction "${one.gid}" of ${one.owner} in database ${one.database}, of ${one.preparedAt}, had written: rolled back in the copy, as ${by} chose`,
      ),
    );
    delete at.state.prepared;
    return { summary: `${done.summary}; chosen by ${by}` };
  },
  without: () => ({ summary: 'what is prepared stays as it is' }),
});
