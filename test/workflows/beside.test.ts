import { ApplicationFailure } from '@temporalio/common';
import { describe, expect, test } from 'vitest';
import { until } from '../../lab/wait.js';
import { people } from '../helpers/people.js';
import { going } from '../helpers/scripted.js';

/** A second disaster while the first is recovered and its tasks are open: real workflows, hosts as the test says. */
describe('an incident beside one that waits for its tasks', { timeout: 900_000 }, () => {
  const all = people();
  const { declare, named, listed, recover, untilNamed } = all;

  test('a new one opens, both are listed, and each is talked with by its name', async () => {
    const first = await recover();
    await listed(first);
    const start = await all.now.cli(['start', 'database-corruption', '--as', 'dee', '--detach', '--json']);
    expect(start, start.stdout + start.stderr).toMatchObject({ code: 0 });
    const { id: second, attached } = JSON.parse(start.stdout) as { id: string; attached: boolean };
    expect({ attached, second }).toEqual({ attached: false, second: expect.not.stringContaining(first) });
    const { question } = await all.now.untilState(
      'the approval of the second',
      (state) => state.id === second && state.question !== undefined,
    );
    await listed(second);
    const incidents = await all.now.lifeboat.incidents();
    expect(incidents.map(({ id, phase, endedAt }) => ({ id, phase, endedAt }))).toEqual([
      { id: second, phase: 'waiting', endedAt: null },
      { id: first, phase: 'recovered', endedAt: null },
    ]);
    // Bare commands mean the open one; the other is named.
    await all.now.lifeboat.incident().note({ by: 'dee', text: 'of the second' });
    expect(
      await all.now.cli(['note', 'of the first', '--as', 'asha', '--task', 'root-cause', '--incident', first]),
    ).toMatchObject({
      code: 0,
    });
    expect((await named(first).state()).notes.map(({ text }) => text)).toEqual(['root-cause: of the first']);
    expect((await named(second).state()).notes.map(({ text }) => text)).toEqual(['of the second']);
    expect((await all.now.cli(['report', first])).stdout).toContain('of the first');
    expect(await all.now.cli(['close', '--as', 'ben']), 'the open one is meant').toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/is waiting: only a recovered incident is closed/),
    });
    await all.now.lifeboat.incident().approve({ by: 'asha', question: question!.id });
    await all.now
      .untilState('it is recovered', (state) => state.id === second && state.phase === 'recovered')
      .catch(() => undefined);
    await until('the second waits for its tasks', async () => !(await all.now.lifeboat.locked()));
    await listed(second);
    expect(
      await all.now.cli(['close', '--as', 'ben', '--leave-tasks-open', 'x']),
      'two, and none is named',
    ).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/Several incidents wait for their tasks: .*\n→ Say which: --incident /),
    });
    for (const id of [first, second])
      expect(await all.now.cli(['close', '--as', 'ben', '--leave-tasks-open', 'x', '--incident', id])).toMatchObject({
        code: 0,
      });
    for (const id of [first, second])
      await until(`${id} is closed`, async () => (await named(id).state()).phase === 'closed');
  });

  test('the first is not rolled back while the second is open; after it, it is, under the lock and with all that it knew', async () => {
    let counted = 0;
    const at = { timeline: 2, transaction: '1000', beats: 10, lastCommit: null, rows: {} };
    all.now.script['copyFigures'] = ({ count }: { count: boolean }) => {
      const now = { ...at, at: new Date().toISOString(), summary: '' };
      if (!count) return now;
      counted += 1;
      // What is put aside was written to; then the old one is in place.
      if (counted === 1)
        return {
          ...now,
          transaction: '1100',
          beats: 33,
          lastCommit: '2026-11-21T04:00:00.000Z',
          rows: { orders: 5077 },
        };
      return { ...now, timeline: 1, rows: { orders: 5000 } };
    };
    const first = await recover();
    await listed(first);
    await declare({ declaredBy: 'dee', target: '2026-11-21T03:15:00Z' });
    const second = await all.now.untilState(
      'the approval of the second',
      (state) => state.id !== first && state.question !== undefined,
    );
    const busy = await all.now.cli(['decide', 'roll-back', '--reason', 'worse', '--as', 'asha', '--incident', first]);
    expect(busy).toMatchObject({
      code: 3,
      stderr: expect.stringMatching(/is not rolled back while another one is open/),
    });
    expect(all.now.began).not.toContain('putBack');
    await all.now.lifeboat.incident().abort({ by: 'dee', reason: 'a false alarm', resume: true });
    await until('the second is over', async () => !(await all.now.lifeboat.locked()));
    expect((await named(second.id).state()).phase).toBe('aborted');
    const back = await all.now.cli(['decide', 'roll-back', '--reason', 'worse', '--as', 'asha', '--incident', first]);
    expect(back, back.stdout + back.stderr).toMatchObject({ code: 0 });
    const state = await until(
      'it is rolled back',
      async () => {
        const now = await named(first).state();
        return now.phase === 'rolled back' ? now : undefined;
      },
      90,
      100,
    );
    expect(state).toMatchObject({ id: first, declaredBy: 'ben', canRollBack: false });
    expect(state.lost, 'of the copy that was put aside').toEqual([
      expect.stringMatching(
        /^up to 77 transactions that were committed to the restored copy between .*, besides the canary; the last look at it was at 2026-11-21T04:00:00\.000Z: it stays behind in \/data\.replaced on db1$/,
      ),
      'orders: 5077 rows in the copy that was put aside, 5000 rows in the one that is in place again',
    ]);
    expect(state.measured).toMatchObject({
      rtoSeconds: null,
      rpoSeconds: null,
      rtoNote: expect.stringMatching(/^the recovery was rolled back; /),
    });
    const report = (await all.now.cli(['report', first])).stdout.replaceAll('\\', '');
    expect(report).toMatch(/RTO, recovery time \| not measured: the recovery was rolled back/);
    expect(report).toMatch(/## What was lost\n\n- up to 77 transactions/);
    expect(report).not.toMatch(/: met\)|✔ .*objective/);
    expect(state.notes.map(({ by, text }) => ({ by, text }))).toEqual([{ by: 'asha', text: 'roll-back: worse' }]);
    expect(state.steps.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['Check the request', 'Put it in place', 'Put the old copy back']),
    );
    await until('it is listed as ended', async () => (await listed(first)).endedAt !== null);
    expect(await all.now.cli(['watch', first])).toMatchObject({
      code: 5,
      stdout: expect.stringContaining('Rolled back'),
    });
  });

  test('a roll-back that is refused changes nothing: it is recovered as before, its tasks are open, and it can be asked for again', async () => {
    let timeline = 2;
    let reached = true;
    all.now.script['copyFigures'] = () => {
      if (!reached)
        throw ApplicationFailure.create({ type: 'CommandFailed', message: 'the disk is away', nonRetryable: true });
      return {
        summary: '',
        at: new Date().toISOString(),
        transaction: null,
        beats: null,
        lastCommit: null,
        rows: {},
        timeline,
      };
    };
    const first = await recover();
    const rollBack = () => all.now.cli(['decide', 'roll-back', '--reason', 'worse', '--as', 'asha']);
    const began = all.now.began.length;
    timeline = 3;
    const other = await rollBack();
    expect(other, other.stdout + other.stderr).toMatchObject({ code: 3, stdout: '' });
    expect(other.stderr).toMatch(
      new RegExp(
        `is on timeline 3, and incident ${first} put a copy on timeline 2 there: something was restored since.*nothing was changed`,
        'i',
      ),
    );
    expect(other.stderr).toMatch(/→ .*lifeboat incidents.*lifeboat decide roll-back --incident NAME/);
    reached = false;
    const unseen = await rollBack();
    expect(unseen, unseen.stdout + unseen.stderr).toMatchObject({ code: 3 });
    expect(unseen.stderr).toMatch(/is not rolled back.*the disk is away.*nothing was changed/i);
    expect(all.now.began.slice(began).filter((name) => name !== 'copyFigures')).toEqual([]);
    expect(await all.now.lifeboat.locked(), 'it did not take the lock').toBe(false);
    const state = await named(first).state();
    expect(state).toMatchObject({ phase: 'recovered', canRollBack: true });
    expect(state.leaving).toBeUndefined();
    expect(state.tasks.filter(({ doneAt }) => !doneAt)).toHaveLength(state.tasks.length);
    expect(await all.now.cli(['note', 'a bad release', '--task', 'root-cause', '--as', 'asha'])).toMatchObject({
      code: 0,
    });
    reached = true;
    timeline = 2;
    expect(await rollBack()).toMatchObject({ code: 0 });
    await untilNamed(first, 'it is rolled back', ({ phase }) => phase === 'rolled back');
  });

  test('while it is open, start begins nothing, says so in its first line, and ends with 3', async () => {
    const { declared } = await declare({ target: '2026-11-21T03:15:00Z' });
    await all.now.untilState('the approval', ({ question }) => question !== undefined);
    const same = await all.now.cli(['start', 'database-corruption', '--as', 'dee']);
    expect(same).toMatchObject({ code: 3, stderr: '' });
    expect(same.stdout).toMatch(
      new RegExp(
        `^An incident is open already: ${declared.id} \\(.*declared by ben\\), target 2026-11-21T03:15:00Z\\..*nothing new was started.*\\n$`,
      ),
    );
    expect(await all.now.cli(['start', 'database-corruption', '--to', '2026-11-21T04:15:00+01:00'])).toMatchObject({
      code: 3,
      stderr: '',
    });
    const json = await all.now.cli(['start', 'database-corruption', '--detach', '--json']);
    expect(json).toMatchObject({ code: 3 });
    expect(JSON.parse(json.stdout)).toMatchObject({ id: declared.id, attached: true });
  });

  test('who asks for another target, or for a repair that rewrites tables, is told what is open, and that theirs was not begun', async () => {
    await declare({ target: '2026-11-21T03:15:00Z' });
    await all.now.untilState('the approval', ({ question }) => question !== undefined);
    const other = await all.now.cli(['start', 'database-corruption', '--to', '2026-11-21T03:20:00Z', '--vacuum-full']);
    expect(other).toMatchObject({ code: 3, stdout: '' });
    expect(other.stderr).toMatch(
      /is open already: .* nothing new was started: its target is 2026-11-21T03:15:00Z, and you asked for 2026-11-21T03:20:00Z; you asked for --vacuum-full/,
    );
    // A drill that is still there when the command has come up.
    const { promise, resolve: goOn } = Promise.withResolvers<void>();
    all.now.script['assess'] = () => promise.then(() => going['assess']!(undefined as never));
    expect((await declare({ mode: 'drill' })).attached).toBe(false);
    const dry = await all.now.cli(['start', 'database-corruption', '--dry-run', '--json']);
    expect(dry).toMatchObject({ code: 3 });
    expect(JSON.parse(dry.stdout)).toMatchObject({
      error: expect.stringContaining('its mode is drill, and you asked for dry-run'),
    });
    goOn();
  });
});
