import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect } from 'vitest';
import type { Candidates } from '../../activities/backups/candidates.js';
import type { HostActivities } from '../../activities/host.js';
import type { Assessment } from '../../activities/recovery/assess.js';
import type { Placed } from '../../activities/recovery/put-in-place.js';
import type { StandbyResult } from '../../activities/recovery/rebuild-standby.js';
import type { Verification } from '../../activities/recovery/verify-restored.js';
import type { Lab } from '../../lab/lab.js';
import type { BackupResult } from '../../vocabulary/backup-work.js';
import { beside, claimOf, isFenced, serviceIsHealthy } from '../helpers/end-state.js';
import { once, walk } from '../helpers/killed.js';
import { expectTidy, type Left } from './recovered.js';

/**
 * The steps of database-corruption without Temporal, in the order of the incident, each in a process of its own that
 * dies at every point to which it comes, and is started again at once. What has to hold after a step is asserted right
 * after it.
 */
export class Steps {
  readonly left: Left;
  /** Where a process dies: everywhere, nowhere, or at points whose names begin so. */
  killing: 'everywhere' | 'nowhere' | string[] = 'everywhere';
  private readonly visitedBy = new Set<string>();

  constructor(
    private readonly lab: Lab,
    name: string,
    private readonly target = 'latest',
  ) {
    this.left = { id: `walk-${name}`, run: `walk ${name}`, quarantine: [], evidence: [] };
  }

  visited(): string[] {
    return [...this.visitedBy];
  }

  private async step<Result>(activity: keyof HostActivities, more: object = {}, host = 'db1'): Promise<Result> {
    const { lab, left, killing } = this;
    const asked = { activity, host, loops: true, input: { database: 'main', incident: left.id, ...more } };
    let result: Result;
    if (killing === 'nowhere') {
      const { how, stdout, stderr } = await once(lab, asked);
      expect(how, `${activity}: ${stderr}`).toBe(0);
      result = JSON.parse(stdout) as Result;
    } else {
      const walked = await walk(lab, asked, left.id, killing === 'everywhere' ? {} : { only: killing });
      for (const point of walked.points) this.visitedBy.add(point);
      result = walked.result as Result;
    }
    expectTidy(lab, host, { copy: beside(lab.primary).restored.length > 0 });
    return result;
  }

  /** Until the damage is known: the database is closed, and nobody but Lifeboat gets in. */
  async assess(): Promise<Assessment> {
    const { primary } = this.lab;
    await this.step('checkRequest', this.target === 'latest' ? {} : { target: this.target });
    await this.step('stopService', { service: 'web' }, 'app1');
    expect(await serviceIsHealthy(this.lab), 'the service is stopped').toBe(false);
    await this.step('stopWrites');
    await this.expectClosed();
    expect(existsSync(claimOf(primary)), 'the claim is taken').toBe(true);
    this.left.evidence.push(...(await this.step<{ files: Left['evidence'] }>('saveEvidence')).files);
    return this.look(1);
  }

  private async look(round: number): Promise<Assessment> {
    const found = await this.step<Assessment>('assess', { round });
    this.left.evidence.push(...found.files);
    await this.expectClosed();
    return found;
  }

  async repair({ damagedIndexes }: Assessment): Promise<void> {
    await this.step('repair', { damagedIndexes, vacuumFull: true });
    expect((await this.look(2)).classification).toBe('healthy');
  }

  /** A copy beside, verified, and its server stopped; production's directory is where it was. */
  async restore(): Promise<void> {
    const target = { target: this.target };
    const { candidates } = await this.step<Candidates>('listCandidates', target);
    await this.step('restoreBeside', { candidate: candidates[0], ...target });
    this.expectPlaces('data', 'data.restored');
    const { doubts, files } = await this.step<Verification>('verifyRestored', {
      ...target,
      declaredAt: new Date().toISOString(),
    });
    expect(doubts).toEqual([]);
    this.left.evidence.push(...files);
    expect(await this.step('behindFence')).toMatchObject({ marked: true, commits: 0 });
    await this.step('lookAtNeighbours');
    await this.expectClosed();
  }

  async putInPlace(): Promise<void> {
    const placed = await this.step<Placed>('putInPlace', { behind: 0 });
    expect(placed).toMatchObject({ canGoBack: true, warnings: [] });
    this.left.quarantine.push({
      host: placed.host,
      path: placed.quarantine,
      bytes: placed.bytes,
      what: 'the damaged database',
    });
    this.expectPlaces('data', 'data.quarantine');
    await this.expectClosed();
    await this.step('copyFigures', { count: false });
  }

  /** Open, in service, protected, and nobody's any more. */
  async resume(): Promise<void> {
    const { lab } = this;
    await this.step('openDatabase');
    expect(await lab.primary.asApp('SELECT 1 AS one'), 'the application gets in').toEqual([{ one: 1 }]);
    await this.step('startService', { service: 'web' }, 'app1');
    expect(await serviceIsHealthy(lab), 'the service is started').toBe(true);
    await this.step('watchDatabase', { services: ['web'], once: true });
    await this.step('protect');
    const { failed } = await this.step<BackupResult>('takeBackup', {
      component: 'main',
      type: 'full',
      run: this.left.run,
    });
    expect(failed).toEqual([]);
    await this.step('release');
    expect(existsSync(claimOf(lab.primary)), 'the claim is released').toBe(false);
  }

  async rebuildStandby(): Promise<StandbyResult> {
    const rebuilt = await this.step<StandbyResult>('rebuildStandby', {}, 'db2');
    const { quarantine: path, host, bytes } = rebuilt;
    if (path !== null) this.left.quarantine.push({ host, path, bytes, what: 'the standby of the damaged database' });
    return rebuilt;
  }

  /** The data directories of the primary, less the name of the incident: what is a directory of PostgreSQL. */
  private expectPlaces(...expected: string[]): void {
    const folder = dirname(this.lab.primary.dataDirectory);
    const found = readdirSync(folder).filter((name) => existsSync(join(folder, name, 'PG_VERSION')));
    expect(found.map((name) => name.replace(`-${this.left.id}`, '')).sort()).toEqual(expected);
  }

  private async expectClosed(): Promise<void> {
    expect(isFenced(this.lab.primary), 'the fence is up').toBe(true);
    await expect(this.lab.primary.asApp('SELECT 1'), 'the application is kept out').rejects.toThrow();
  }
}
