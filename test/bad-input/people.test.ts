import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { capture } from '../../lab/capture.js';
import { createLab, type Lab } from '../../lab/lab.js';
import { cliEntry } from '../../lab/root.js';
import { startWorker, type LabProcess } from '../../lab/worker.js';
import { controlQueue, hostQueue } from '../../vocabulary/names.js';
import type { PlanFile } from '../../plan/schema.js';
import { beside, contents, quietMoment, serviceIsHealthy } from '../helpers/end-state.js';
import {
  ended,
  endLab,
  lifeboatOf,
  protect,
  ran,
  refused,
  stateOf,
  untilPhase,
  untilQuestion,
} from '../helpers/incident.js';
import { changesNothing } from '../helpers/unchanged.js';

/**
 * Two people, two systems, one database: who may start, who may approve, and what an answer must be. One incident,
 * asked from all sides.
 */
describe('an open incident', { timeout: 900_000 }, () => {
  let lab: Lab;
  let target: string;
  let declaredBy: string;
  let good: string;
  beforeAll(async () => {
    lab = await createLab({ fast: true, approvals: 2 });
    await protect(lab);
    target = await quietMoment(lab.primary);
    good = await contents(lab.primary);
  }, 900_000);
  afterAll(() => endLab(lab));

  test('two starts at once: one declares it, the other is attached to it and says so', async () => {
    const start = (by: string) => lab.cli(['start', 'database-corruption', '--to', target, '--as', by, '--detach']);
    const results = await Promise.all([start('asha'), start('ben')]);
    const said = results.map(({ stdout }) => stdout);
    // A script that attached must not take the other one for its own.
    expect(results.map(({ code }) => code).sort(), said.join('\n')).toEqual([0, 3]);
    expect(
      said.filter((text) => /Incident shop-\S+ is declared/.test(text)),
      said.join('\n'),
    ).toHaveLength(1);
    expect(
      said.filter((text) =>
        /An incident is open already: shop-\S+ \(database-corruption of main, declared by (asha|ben)\).*nothing new was started/.test(
          text,
        ),
      ),
    ).toHaveLength(1);
    expect(await (await lifeboatOf(lab)).incidents(), 'exactly one incident').toHaveLength(1);
    ({ declaredBy } = await stateOf(lab));
    expect(said[declaredBy === 'asha' ? 0 : 1], 'who declared it is the one who was told so').toContain('is declared');
  });

  describe('asks for an approval', () => {
    const other = () => (declaredBy === 'asha' ? 'ben' : 'asha');
    /** Refused, and the question is still open. */
    const isRefused = async (args: string[], says: RegExp, code = 2) => {
      const { question } = await untilQuestion(lab, 'approval', 'Approve');
      await refused(lab, args, code, says);
      expect((await stateOf(lab)).question, 'the question is still open').toEqual(question);
      expect(beside(lab.primary).quarantine, 'nothing was put in place').toEqual([]);
    };

    test('field note 18: who declared it may not approve it, in whatever spelling', async () => {
      await isRefused(
        ['approve', '--as', declaredBy],
        /The plan asks for two people: (asha|ben) declared this incident, so somebody else must approve/,
      );
      await isRefused(['approve', '--as', ` ${declaredBy.toUpperCase()} `], /The plan asks for two people/);
      await isRefused(['decide', 'approve', '--as', declaredBy], /The plan asks for two people/);
    });
    test('field note 18: nobody approves without a name', async () => {
      await isRefused(['approve', '--as', ''], /Say who you are: --as NAME/);
      await isRefused(['decide', 'approve', '--as', '  '], /Say who you are/);
      await isRefused(['abort', '--as', '', '--reason', 'x'], /Say who you are/);
      await isRefused(['start', 'database-corruption', '--as', ''], /Who declares this incident\?/);
    });
    test('an answer to another question is not taken for this one', async () => {
      await isRefused(
        ['approve', '--as', other(), '--question', '0'],
        /Question 0 was answered already; question 1 is open now: Put the restored copy in place/,
      );
      await isRefused(['approve', '--as', other(), '--question', '7'], /Question 7 was not asked yet/);
    });
    test('a choice that is not offered', async () => {
      await isRefused(
        ['decide', 'skip', '--as', other(), '--reason', 'no time'],
        /"skip" is not offered here; choose approve, restore, abort/,
      );
      await isRefused(['decide', 'roll-back', '--as', other(), '--reason', 'no'], /nothing to roll back to/);
    });
    test('another target without an offset, or none', async () => {
      await isRefused(['decide', 'restore', '--as', other()], /"restore" needs a target/);
      await isRefused(['decide', 'restore', '--as', other(), '--to', '2026-11-21T03:15:00'], /has no offset/);
    });
    test('close and abort without what they need', async () => {
      await isRefused(['close', '--as', other()], /is waiting: only a recovered incident is closed/);
      await isRefused(['abort', '--as', other()], /Say why/);
      await isRefused(['note', '', '--as', other()], /A note needs a text/);
      await isRefused(['note', 'x', '--task', 'party', '--as', other()], /There is no task "party"/);
    });
    test('no backup is taken meanwhile', async () => {
      await isRefused(['backup', 'create'], /no backup is taken of main while incident shop-\S+ is open on it/, 3);
    });
  });

  describe('field note 17: and another system has the same data directory', () => {
    const system = 'other';
    const workers: LabProcess[] = [];
    let env: Record<string, string>;
    const lifeboat = (...args: string[]) => capture(process.execPath, [cliEntry, ...args], lab.directory, env);
    beforeAll(async () => {
      const path = join(lab.directory, 'other.yaml');
      const plan = parse(readFileSync(lab.planPath, 'utf8')) as PlanFile;
      writeFileSync(path, stringify({ ...plan, system }));
      env = { ...lab.env, LIFEBOAT_PLAN: path };
      const run = (name: string, args: string[], queue: string, kind: 'workflow' | 'activity') =>
        startWorker({
          name,
          args,
          queues: [[queue, kind]],
          directory: lab.directory,
          temporalAddress: lab.temporalAddress,
          env,
        });
      workers.push(
        ...(await Promise.all([
          run('other-control', ['worker'], controlQueue(system), 'workflow'),
          run('other-agent', ['agent', '--host', 'db1'], hostQueue(system, 'db1'), 'activity'),
        ])),
      );
    });
    afterAll(() => Promise.all(workers.map((worker) => worker.stop())));

    test('its incident has a workflow of its own, and is refused by the hold on the directory', async () => {
      await untilQuestion(lab, 'approval', 'Approve');
      const { id } = await stateOf(lab);
      const { code, stderr } = await lifeboat('start', 'database-corruption', '--as', 'dee');
      expect({ code, stderr }).toEqual({
        code: 3,
        stderr: expect.stringContaining(`the data directory of main is held by incident ${id}`),
      });
      expect((await stateOf(lab)).question, 'the first one goes on as if nothing had been').toBeDefined();
    });
  });

  test('is aborted by the one who declared it: everything is as it was before', async () => {
    await ran(lab, ['abort', '--as', declaredBy, '--reason', 'a false alarm', '--resume']);
    await untilPhase(lab, 'aborted');
    await ended(lab);
    expect(await serviceIsHealthy(lab)).toBe(true);
    expect(await contents(lab.primary)).toBe(good);
    await changesNothing(lab, () => refused(lab, ['approve', '--as', 'asha'], 2, /No incident is open|is aborted/));
  });
});
