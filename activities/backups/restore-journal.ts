import { createHash } from 'node:crypto';
import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostContext } from '../context.js';
import { readFile, writeWhole } from '../files.js';

interface Notes {
  /** What the old ones are called, the same in every attempt. */
  stamp: string;
  /**
   * By the path they are for: which file or directory was restored whole, known by its device and number whatever its
   * name is.
   */
  staged: Record<string, string>;
}

/** What a restore has done so far, in the agent's own state: an attempt after a crash goes on from there. */
export class Journal {
  private constructor(
    private readonly file: string,
    private readonly notes: Notes,
  ) {}

  static async open(context: HostContext, run: string): Promise<Journal> {
    const file = join(context.state, 'restores', `${createHash('sha256').update(run).digest('hex').slice(0, 24)}.json`);
    const text = await readFile(file, 'utf8').catch(() => undefined);
    const stamp = new Date().toISOString().replace(/[-:]/g, '').replace(/\.\d+/, '');
    const journal = new Journal(file, text === undefined ? { stamp, staged: {} } : (JSON.parse(text) as Notes));
    if (text === undefined) await journal.write();
    return journal;
  }

  get stamp(): string {
    return this.notes.stamp;
  }

  /** What lies at `at` was restored whole, for `path`. */
  async staged(path: string, at: string): Promise<void> {
    this.notes.staged[path] = (await identityOf(at)) ?? '';
    await this.write();
  }

  isStaged = async (path: string, at: string): Promise<boolean> => this.isIt(path, await identityOf(at));
  isInPlace = async (path: string): Promise<boolean> => this.isIt(path, await identityOf(path));

  private isIt(path: string, identity: string | undefined): boolean {
    return identity !== undefined && this.notes.staged[path] === identity;
  }

  private write = (): Promise<void> => writeWhole(this.file, JSON.stringify(this.notes), { mode: 0o600 });
}

async function identityOf(path: string): Promise<string | undefined> {
  const found = await lstat(path, { bigint: true }).catch(() => undefined);
  return found && `${found.dev} ${found.ino} ${found.birthtimeNs}`;
}
