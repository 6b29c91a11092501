import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createLab, type Lab } from '../../lab/lab.js';
import { until } from '../../lab/wait.js';
import { scheduleId } from '../../vocabulary/names.js';
import type { BackupRecord } from '../../vocabulary/backup.js';
import type { CleanUpResult } from '../../vocabulary/backup-work.js';
import {
  declare,
  endLab,
  ended,
  lifeboatOf,
  noIncident,
  protect,
  ran,
  refused,
  untilPhase,
  untilQuestion,
} from '../helpers/incident.js';

/** Work on the backups of one database never runs side by side: it is serialised, or refused with the reason. */
describe('work on backups takes turns', { timeout: 900_000 }, () => {
  let lab: Lab;
  let holder: pg.Client | undefined;
  /** A dump waits for this lock: work that lasts for as long as the test wants. */
  const holdUp = async (): Promise<void> => {
    const { port, passwords, database } = lab.primary;
    holder = new pg.Client({ host: '127.0.0.1', port, user: 'postgres', password: passwords.superuser, database });
    await holder.connect();
    await holder.query('BEGIN; LOCK TABLE customers IN ACCESS EXCLUSIVE MODE');
  };
  const letGo = async (): Promise<void> => {
    await holder?.end();
    holder = undefined;
  };
  const dumps = async (): Promise<BackupRecord[]> =>
    (JSON.parse(await ran(lab, ['backup', 'list', '--json'])) as { backups: BackupRecord[] }).backups.filter(
      ({ kind }) => kind === 'logical',
    );
  const dumpWaits = () =>
    until('the dump waits for the table', async () => {
      const [waiting] = await lab.primary.sql<{ n: number }>(
        `SELECT count(*)::int AS n FROM pg_locks WHERE NOT granted`,
      );
      return waiting!.n > 0;
    });

  beforeAll(async () => {
    lab = await createLab({
      fast: true,
      plan: (plan) => {
        plan.databases['main']!.backups.logical = { locations: ['onsite'], schedule: '0 2 * * *', keep: { last: 1 } };
        plan.timezone = 'Europe/Kyiv';
      },
    });
    await protect(lab, ['backup', 'create', '--logical']);
  }, 900_000);
  beforeEach(() => noIncident(lab));
  afterEach(letGo);
  afterAll(() => endLab(lab));

  test('two dumps at once are one, and both who asked are told of it', async () => {
    const before = (await dumps()).length;
    await holdUp();
    const both = Promise.all([
      ran(lab, ['backup', 'create', '--logical', '--json']),
      ran(lab, ['backup', 'create', '--logical', '--json']),
    ]);
    await dumpWaits();
    await letGo();
    const [one, other] = (await both).map((text) => (JSON.parse(text) as { id: string }).id);
    expect(one).toBe(other);
    // The older one went: the plan keeps the last alone.
    expect((await dumps()).map(({ id }) => id)).toEqual([one]);
    expect(before).toBe(1);
  });

  test('what is something else is refused while a dump runs, with what runs and since when; a scheduled one waits for its turn', async () => {
    await holdUp();
    const running = ran(lab, ['backup', 'create', '--logical', '--json']);
    await dumpWaits();
    const runs =
      /Nothing was begun: this runs since \d{4}-.*: logical backup of main\.[^]*→ Work on the same backups never runs side by side/;
    // Of several, one that cannot be done keeps none of the others from it.
    await refused(lab, ['backup', 'cleanup'], 1, runs);
    await refused(lab, ['backup', 'create', '--full'], 3, runs);
    await refused(lab, ['backup', 'verify', '--database', 'main'], 1, runs);
    await ran(lab, ['schedules', 'apply']);
    const schedule = (await lifeboatOf(lab)).temporal.schedule.getHandle(scheduleId(lab.system, 'backup/main/logical'));
    await schedule.trigger();
    const scheduled = await until(
      'the schedule has begun',
      async () => (await schedule.describe()).info.recentActions[0]?.action,
    );
    await letGo();
    const first = (JSON.parse(await running) as { id: string }).id;
    const later = await until('the scheduled dump, after it', async () => {
      const [newest] = await dumps();
      return newest!.id === first ? undefined : newest;
    });
    expect(later.id > first, `${later.id} is later than ${first}`).toBe(true);
    await until('the schedule has ended', async () => {
      const { status } = await (
        await lifeboatOf(lab)
      ).temporal.workflow
        .getHandle(scheduled.workflow.workflowId)
        .describe();
      return status.name === 'COMPLETED';
    });
  });

  test('while an incident is open, no dump is taken, nothing is removed, and nothing is restored over the database', async () => {
    const { id: incident } = await declare(lab);
    await untilQuestion(lab, 'approval', 'Choose the target');
    const before = await dumps();
    const open = new RegExp(`incident ${incident} is open on it`);
    await refused(lab, ['backup', 'create', '--logical'], 3, open);
    await refused(lab, ['backup', 'cleanup', '--database', 'main'], 1, open);
    await refused(lab, ['backup', 'restore', before[0]!.id, '--drop-existing', '--yes'], 3, open);
    expect(await dumps()).toEqual(before);
    await ran(lab, ['abort', '--resume', '--reason', 'nothing is damaged']);
    await untilPhase(lab, 'aborted');
    await ended(lab);
    const cleaned = JSON.parse(await ran(lab, ['backup', 'cleanup', '--json'])) as CleanUpResult[];
    expect(cleaned.flatMap(({ failed }) => failed)).toEqual([]);
  });

  test('schedules are read in the timezone of the plan, on both sides of the change of the clocks', async () => {
    await ran(lab, ['schedules', 'apply']);
    const lifeboat = await lifeboatOf(lab);
    const handle = lifeboat.temporal.schedule.getHandle(scheduleId(lab.system, 'backup/main/logical'));
    await handle.update((now) => ({ ...now, spec: { cronExpressions: ['30 2 1 * *'], timezone: 'Europe/Kyiv' } }));
    const { info } = await handle.describe();
    const hours = info.nextActionTimes.map((at) =>
      new Intl.DateTimeFormat('en-GB', { timeZone: 'Europe/Kyiv', hour: '2-digit', minute: '2-digit' }).format(at),
    );
    expect(new Set(hours), 'the hour on the wall, month after month').toEqual(new Set(['02:30']));
    expect(
      new Set(info.nextActionTimes.map((at) => at.getUTCHours())).size,
      'the hour in UTC changes with the clocks',
    ).toBe(2);
    await ran(lab, ['schedules', 'apply']);
    expect((await handle.describe()).spec.timezone).toBe('Europe/Kyiv');
  });
});
