import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { checkout } from '../root.js';
import { median } from './spans.js';

export interface StartUp {
  /** Medians, in milliseconds. */
  help: number;
  bare: number;
}

/** `lifeboat --help` and `node -e 0` in turn, on the Node that runs this; the first pair fills caches and does not count. */
export function measureStartUp(runs: number): StartUp {
  const help: number[] = [];
  const bare: number[] = [];
  for (let run = 0; run <= runs; run += 1) {
    const one = milliseconds([join(checkout, 'bin', 'lifeboat.mjs'), '--help']);
    const other = milliseconds(['-e', '0']);
    if (run === 0) continue;
    help.push(one);
    bare.push(other);
  }
  return { help: median(help), bare: median(bare) };
}

function milliseconds(args: string[]): number {
  const began = performance.now();
  const { status } = spawnSync(process.execPath, args, { stdio: 'ignore' });
  if (status !== 0) throw new Error(`node ${args.join(' ')} ended with ${status}`);
  return performance.now() - began;
}
