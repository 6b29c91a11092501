import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DefaultLogger, type LogLevel, Runtime } from '@temporalio/worker';
import { afterAll, beforeAll } from 'vitest';
import { destroyLab, makeLabDirectory } from '../../lab/cleanup.js';
import { startTemporal } from '../../lab/temporal.js';

/** A Temporal server, in a directory for whatever else a file of tests starts. */
export interface Server {
  readonly directory: string;
  /** Where it answers. */
  readonly temporal: string;
}

/**
 * For a file of tests, or a group: its own Temporal, there from the first hook on, and gone after the last. `log`: what
 * the workers in this process print.
 */
export function ownTemporal(log: LogLevel = 'ERROR', limits: Record<string, number> = {}): Server {
  let directory: string;
  let temporal: string;
  beforeAll(async () => {
    Runtime.install({ logger: new DefaultLogger(log) });
    directory = makeLabDirectory();
    mkdirSync(join(directory, 'temporal'));
    temporal = (await startTemporal({ directory: join(directory, 'temporal'), limits })).address;
  });
  afterAll(() => destroyLab(directory));
  return {
    get directory() {
      return directory;
    },
    get temporal() {
      return temporal;
    },
  };
}
