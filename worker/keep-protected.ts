import { databasesOn } from '../plan/access.js';
import type { HostContext } from '../activities/context.js';
import { ensureArchiving } from '../activities/backups/protect.js';
import { demandPromoted } from '../activities/backups/takes-over.js';
import { keepCanary, pause } from '../activities/postgres/canary.js';
import { claimedBy } from '../activities/postgres/claim.js';
import { type Cluster, clusterOf } from '../activities/postgres/cluster.js';
import { takeKnownRows } from '../activities/postgres/known-rows.js';
import { isClosed } from '../activities/postgres/fence.js';
import type { Say } from './log.js';
import { type Answered, noteRole } from '../activities/postgres/role.js';
import { bringBackSynchronous, isSetAside } from '../activities/postgres/synchronous.js';

const rowsEverySeconds = 15 * 60;

/**
 * What an agent does without being asked, and without Temporal: canary, archiving and known row counts of the databases
 * whose primary is here now. Which those are is asked of the servers: a standby that somebody promotes is protected
 * within seconds.
 */
export async function keepProtected(context: HostContext, signal: AbortSignal, log: Say): Promise<void> {
  await Promise.all(
    databasesOn(context.plan, context.host).flatMap(({ database }) => {
      const cluster = clusterOf(context, database);
      // While an incident holds the database nothing is written to it and nothing is counted: its rows are what is in
      // question.
      const held = async () => (await claimedBy(cluster)) !== undefined || (await isClosed(cluster).catch(() => false));
      const physical = cluster.plan.backups.physical !== undefined;
      const watched = new Watched(cluster, log);
      return [
        keepCanary(cluster, signal, held, (now) => watched.sees(now)),
        keepSynchronous(cluster, signal),
        ...(physical ? [keepArchiving(watched, signal, held)] : []),
      ];
    }),
  );
}

/** What the server of a database is here, as it was seen last. */
class Watched {
  private now: Answered | undefined;
  private may = false;
  private refused: { timeline: number; until: number } | undefined;
  private said = '';

  constructor(
    readonly cluster: Cluster,
    private readonly log: Say,
  ) {}

  /** Whether it is to be protected from here. Of a server that does not answer the plan says it. */
  get isOurs(): boolean {
    const { plan, context } = this.cluster;
    return this.now === undefined ? plan.postgres.primary === context.host : this.may;
  }

  /** Changes when it became something else. */
  get as(): string {
    return `${this.now?.role ?? 'unknown'} ${this.now?.timeline ?? ''}`;
  }

  /** Whether the canary may beat on it. */
  async sees(now: Answered | undefined): Promise<boolean> {
    // A full disk below the agent's state says nothing of the database.
    if (now) await noteRole(this.cluster, now).catch(() => undefined);
    this.may = now?.role === 'primary' && (await this.mayBe(now));
    this.now = now;
    return this.may;
  }

  private async mayBe(now: Answered): Promise<boolean> {
    // The whole archive is listed for it.
    if (this.refused?.timeline === now.timeline && Date.now() < this.refused.until) return false;
    try {
      await demandPromoted(this.cluster, now);
      return true;
    } catch (error) {
      this.refused = { timeline: now.timeline, until: Date.now() + 60_000 };
      this.say((error as Error).message);
      return false;
    }
  }

  /** Each trouble once. */
  say(trouble: string): void {
    const { database } = this.cluster;
    if (trouble !== this.said)
      this.log(`${database} is not protected now: ${trouble}`, 'warning', { component: database });
    this.said = trouble;
  }
}

/** After a recovery: synchronous replication is demanded again when its standbys stream. */
async function keepSynchronous(cluster: Cluster, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    if (await isSetAside(cluster)) await bringBackSynchronous(cluster).catch(() => undefined);
    await pause(2000, signal);
  }
}

async function keepArchiving(watched: Watched, signal: AbortSignal, held: () => Promise<boolean>): Promise<void> {
  const { cluster } = watched;
  let due = 0;
  let as = '';
  while (!signal.aborted) {
    if (watched.isOurs && (Date.now() >= due || watched.as !== as)) {
      as = watched.as;
      due = Date.now() + rowsEverySeconds * 1000;
      try {
        if (!(await held())) {
          await ensureArchiving(cluster);
          await takeKnownRows(cluster);
        }
      } catch (error) {
        // A database that is down is for an incident or its owner to start; try again soon.
        due = Date.now() + 10_000;
        watched.say((error as Error).message);
      }
    }
    await pause(1000, signal);
  }
}
