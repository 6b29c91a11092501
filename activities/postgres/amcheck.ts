import { run } from '../run.js';
import { closedSocket } from './closed-socket.js';
import { bin, type Cluster, dataOwner, passwordOf } from './cluster.js';
import { ledger } from './server.js';
import { programOptionsFor } from './session.js';
import { progress } from '../capability.js';

/** What pg_amcheck found in one relation. */
export interface Damage {
  /** Database, then schema and name as pg_amcheck prints them. */
  relation: string;
  database: string;
  kind: 'index' | 'table' | 'other';
  says: string;
}

export interface AmcheckResult {
  damage: Damage[];
  /** Everything that it printed, for the evidence. */
  output: string[];
}

const heading = /^(btree index|heap table) "([^"]+(?:""[^"]*)*)"(?:, block .*)?:\s*(.*)$/;

/** Every heap tuple is looked up in its indexes, and parents are compared with children. */
export const amcheckArguments = ['--heapallindexed', '--parent-check', '--rootdescend'];

/**
 * Runs pg_amcheck over every database of a cluster: heap and index checks, every heap tuple looked up in its indexes, parents compared
 * with children (which blocks writes: only where there are none).
 * Source: field-notes, "Verify a restored copy"; PostgreSQL manual, pg_amcheck.
 */
export async function amcheck(
  cluster: Cluster,
  options: { socketDirectory?: string; directory?: string; install: boolean },
): Promise<AmcheckResult> {
  const password = await passwordOf(cluster);
  const result = await run(
    await bin(cluster, 'pg_amcheck', options.directory),
    [
      '--all',
      ...amcheckArguments,
      '--progress',
      '-j',
      '2',
      '--no-password',
      ...(options.install ? ['--install-missing'] : []),
      '-h',
      options.socketDirectory ?? (await closedSocket(cluster)) ?? cluster.socketDirectory,
      '-p',
      String(cluster.port),
      '-U',
      cluster.plan.postgres.user,
      '--maintenance-db',
      'postgres',
    ],
    {
      owner: await dataOwner(cluster),
      env: {
        PGOPTIONS: await programOptionsFor(options.directory ?? cluster.dataDirectory, { superuser: true }),
        ...(password ? { PGPASSWORD: password } : {}),
      },
      // 2: it found something; 1: it could not look at something. Both are answers.
      accept: [1, 2],
      ledger: ledger(cluster, options.socketDirectory ? 'pg_amcheck-scratch' : 'pg_amcheck'),
      onLine: (line) => {
        const percent = /\((\d+)%\)/.exec(line)?.[1];
        if (percent) progress({ what: 'pg_amcheck', percent: Number(percent) });
      },
    },
  );
  const output = result.lines.filter((line) => !/^\s*\d+\/\d+ relations|^$/.test(line));
  const damage = findings(output);
  if (result.code !== 0 && damage.length === 0)
    damage.push({ relation: '', database: '', kind: 'other', says: output.slice(-3).join(' | ') });
  return { damage, output };
}

/** Reads pg_amcheck's output: one entry for each relation, with the first thing said of it. Errors outside a relation are kept as `other`. */
export function findings(output: string[]): Damage[] {
  const found = new Map<string, Damage>();
  for (const [at, line] of output.entries()) {
    const match = heading.exec(line.trim());
    if (match) {
      const [, kind, path, rest] = match as unknown as [string, string, string, string];
      const says = rest !== '' ? rest : (output[at + 1] ?? '').trim();
      const [database = '', ...relation] = path.split('.');
      if (!found.has(path))
        found.set(path, { relation: relation.join('.'), database, kind: kind === 'btree index' ? 'index' : 'table', says });
    } else if (/^pg_amcheck: error: (?!query was|errors? )/.test(line) && !/skipping database/.test(line)) {
      found.set(line, { relation: '', database: '', kind: 'other', says: line.replace('pg_amcheck: error: ', '') });
    }
  }
  return [...found.values()];
}
