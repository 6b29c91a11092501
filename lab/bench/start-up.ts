import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { checkout } from '../root.js';
import { median } from './spans.js';
import { type Part, say } from './table.js';

const runs = 21;

/**
 * `lifeboat --help` and `node -e 0` in turn, on the Node that runs this; the first pair fills caches and does not
 * count.
 */
export function measureStartUp(): Promise<Part> {
  say('start-up of the CLI');
  const help: number[] = [];
  const bare: number[] = [];
  for (let run = 0; run <= runs; run += 1) {
    const one = milliseconds([join(checkout, 'bin', 'lifeboat.mjs'), '--help']);
    const other = milliseconds(['-e', '0']);
    if (run === 0) continue;
    help.push(one);
    bare.push(other);
  }
  const startUp = { help: median(help), bare: median(bare) };
  const ratio = startUp.help / startUp.bare;
  return Promise.resolve({
    rows: [
      {
        what: `lifeboat --help, against node -e 0 (medians of ${runs})`,
        measured: `${ratio.toFixed(2)}x`,
        aim: 'at most 2x',
        met: ratio <= 2,
      },
    ],
    lines: [`start-up in ms: lifeboat --help ${startUp.help.toFixed(0)}, node -e 0 ${startUp.bare.toFixed(0)}`],
    figures: { startUp },
  });
}

function milliseconds(args: string[]): number {
  const began = performance.now();
  const { status } = spawnSync(process.execPath, args, { stdio: 'ignore' });
  if (status !== 0) throw new Error(`node ${args.join(' ')} ended with ${status}`);
  return performance.now() - began;
}
