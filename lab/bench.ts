import { cpus, loadavg, totalmem } from 'node:os';
import { measureBackups } from './bench/backups.js';
import { measureRestore } from './bench/restore.js';
import { measureStartUp } from './bench/start-up.js';
import { type Part, table } from './bench/table.js';

/**
 * `npm run bench [-- --json] [-- --only PART]`: it measures and judges, and never fails for a figure. Figures and what
 * they mean: docs/benchmarks.md.
 */

const parts: Record<string, () => Promise<Part>> = {
  startup: measureStartUp,
  restore: measureRestore,
  backups: measureBackups,
};

const at = process.argv.indexOf('--only');
const only = at < 0 ? undefined : process.argv[at + 1];
if (at >= 0 && !parts[only ?? '']) {
  process.stderr.write(`--only takes one of ${Object.keys(parts).join(', ')}\n`);
  process.exit(2);
}

const load = () => loadavg()[0]!.toFixed(1);
const loadBefore = load();
const found: Part[] = [];
for (const [name, measure] of Object.entries(parts)) if (!only || name === only) found.push(await measure());
const machine = {
  cores: cpus().length,
  memoryGB: Math.round(totalmem() / 1e9),
  loadBefore,
  loadAfter: load(),
  node: process.version,
};
const rows = found.flatMap((part) => part.rows);
if (process.argv.includes('--json')) {
  process.stdout.write(
    `${JSON.stringify({ machine, rows, ...Object.assign({}, ...found.map(({ figures }) => figures)) }, null, 2)}\n`,
  );
} else {
  const { cores, memoryGB, node } = machine;
  process.stdout.write(
    [
      '',
      table(rows),
      '',
      ...found.flatMap(({ lines }) => lines),
      `machine: ${cores} cores, ${memoryGB} GB, load ${loadBefore} before and ${machine.loadAfter} after, Node ${node}`,
      '',
    ].join('\n'),
  );
}
