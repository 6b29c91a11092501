import { describe, expect, it } from 'vitest';
import { renderEvents, renderView, type ViewInput } from '../../client/view.js';
import { columns } from '../../client/view/columns.js';
import type { IncidentState, Progress } from '../../vocabulary/incident.js';
import {
  aborted,
  all,
  at,
  closed,
  drill,
  dryRun,
  failedStep,
  moment,
  recovered,
  refused,
  running,
  serviceLate,
  step,
  waitingForApproval,
} from '../reports/fixtures.js';

const draw = (state: IncidentState, more: Partial<ViewInput> = {}): string =>
  renderView({
    state,
    progress: [],
    now: moment(600),
    width: 100,
    color: false,
    commandPrefix: 'lifeboat',
    ...more,
  }).join('\n');

const restoring = (percent: number): Progress[] => [
  { what: 'restoring 20261121-020000F', percent, bytesDone: percent * 2e8, bytesTotal: 2e10, secondsLeft: 190 },
];

describe('the view', () => {
  it.each(Object.entries(all))('keeps to the width, but for what must be copied whole: %s', (_, state) => {
    for (const width of [60, 80, 120]) {
      const lines = draw(state, { width }).split('\n');
      const wider = lines.filter((line) => columns(line) > width && !/^ +(lifeboat|\S+:?\/)/.test(line));
      expect(wider).toEqual([]);
      expect(lines.join('')).not.toMatch(/NaN|undefined|\[object/);
    }
  });

  it('shows each component against its own objectives, where there is more than one', () => {
    const lines = draw(serviceLate).split('\n');
    expect(
      lines.some((line) => /main +database serves after 6m 40s of 15m 00s, RPO 4.2s of 5m 00s$/.test(line)),
      lines.slice(0, 12).join('\n'),
    ).toBe(true);
    expect(
      lines.some((line) => /web +service serves after 7m 00s of 5m 00s: MISSED$/.test(line)),
      lines.slice(0, 12).join('\n'),
    ).toBe(true);
    const waiting = {
      ...running,
      components: serviceLate.components.map((one) => ({ ...one, measured: { rtoSeconds: null, rpoSeconds: null } })),
    };
    const open = draw(waiting, { now: moment(350) });
    expect(open).toMatch(/main +database not back yet, RTO 15m 00s\n/);
    expect(open).toMatch(/web +service not back yet, RTO 5m 00s: EXCEEDED\n/);
    expect(draw(recovered)).not.toContain('serves after');
  });

  it('runs the clock, and the steps with it', () => {
    const text = draw(running, { now: moment(240), progress: restoring(43.2) });
    expect(text).toContain('shop-20261121-031502  shop  database-corruption  main');
    expect(text).toMatch(/RTO 4:00 of 15:00 {2}▓+░+ {2}11:00 left/);
    expect(text).toMatch(/✔ {2}Choose the backup +20 ms {2}20261121-020000F from onsite/);
    expect(text).toMatch(/▶ {2}Restore beside +2m 49s {2}on db1/);
    expect(text).toMatch(/▓+░+ 43% {2}8\.6 GB of 20\.0 GB {2}about 3m 10s left/);
    expect(text).toContain(' ·  Verify the restored copy');
    expect(text).toContain('Ctrl-C leaves this view and stops nothing');
    expect(text.split('\n')).toContain('   lifeboat abort --reason "…"');
    // Without its name the incident would be meant, and ended.
    expect(draw({ ...running, mode: 'drill', id: 'shop-drill-1' })).toContain(
      '   lifeboat abort --reason "…" --incident shop-drill-1',
    );
  });

  it('is loud when the objective is exceeded, and stops the clock when it recovered', () => {
    expect(draw(running, { now: moment(970) })).toContain('EXCEEDED by 1:10');
    expect(draw(running, { now: moment(970), color: true })).toContain('\u001b[41m');
    expect(draw(recovered, { now: moment(5000) })).toMatch(/RTO 10:40 of 15:00 .* met/);
    expect(draw({ ...recovered, measured: { rtoSeconds: 1000, rpoSeconds: 1 } }, { now: moment(5000) })).toContain(
      'MISSED by 1:40',
    );
  });

  it('asks for the approval with its figures, and the exact command for each answer', () => {
    const text = draw(waitingForApproval, { commandPrefix: 'lifeboat --plan shop.yaml' });
    expect(text).toContain('AN APPROVAL IS NEEDED: Approve (asked 2m 14s ago)');
    expect(text).toContain('Row counts: 4 of 4 tables as expected.');
    for (const command of [
      'approve --question 2',
      'decide restore --to 2026-11-21T…Z --question 2',
      'decide reject --reason "…" --question 2',
      'abort --reason "…"',
    ]) {
      expect(text.split('\n')).toContain(`   lifeboat --plan shop.yaml ${command}`);
    }
    expect(text).toContain('?  Approve');
    expect(text).toContain('RPO 4.2s (objective 5m 00s: met)\n');
  });

  it('says who may approve when the plan wants two people', () => {
    expect(draw({ ...waitingForApproval, approvals: 2 })).toContain(
      'asha, who declared the incident, may not approve it',
    );
  });

  it('shows the problem with its hint, and what can be decided', () => {
    const text = draw(failedStep);
    expect(text).toMatch(/✖ {2}Restore beside +2m 23s {2}failed, 3 attempts; waits for a person, 6m 26s/);
    expect(text).toContain('BackupDamaged: the backup 20261121-020000F');
    expect(text).toContain('Hint: Retry with the next location');
    for (const command of ['decide retry', 'decide skip --reason "…"', 'decide done --reason "…"'])
      expect(text.split('\n')).toContain(`   lifeboat ${command} --question 1`);
  });

  it('ends with what was lost, the quarantine and what to type next', () => {
    const text = draw(recovered);
    expect(text).toContain('RECOVERED');
    expect(text).toContain('Writes between 03:14:58 and 03:15:02 UTC: 4.2 seconds.');
    expect(text).toContain('db1:/var/lib/postgresql/15/main.quarantine-shop-20261121-031502');
    for (const command of ['report', 'decide roll-back --reason "…"', 'close'])
      expect(text.split('\n')).toContain(`   lifeboat ${command} --incident ${recovered.id}`);
    expect(draw({ ...recovered, canRollBack: false })).not.toContain('roll-back');
    expect(draw(closed)).not.toContain('lifeboat close');
  });

  it('says why a request was refused, and how an abort left things', () => {
    expect(draw(refused)).toContain('Next: Give a later target time; lifeboat backup list shows what there is');
    expect(draw(refused)).toContain('RTO and RPO not measured: the request was refused before anything was changed');
    expect(draw(aborted)).toContain('aborted by ben: We fail over');
    expect(draw(aborted)).toContain('Writes to main stay stopped');
  });

  it('says DRILL and DRY RUN in its first line', () => {
    expect(
      renderView({
        state: drill,
        progress: [],
        now: moment(1100),
        width: 80,
        color: false,
        commandPrefix: 'lifeboat',
      })[0],
    ).toMatch(/^ \*\*\* DRILL: /);
    expect(draw(dryRun).split('\n')[0]).toMatch(/^ \*\*\* DRY RUN: /);
    expect(draw(drill)).toMatch(/Stop writes +4\.2s {2}rehearsed; /);
  });

  it('keeps its columns behind a sign that is two columns wide', () => {
    const decision = { by: 'ben', choice: 'done', reason: 'started it on the host', at: at(20) };
    const lines = draw({
      ...running,
      ahead: [],
      steps: [step('One', 0, 1, { summary: 'a' }), step('Two', 1, 20, { status: 'by hand', decision, summary: 'b' })],
    }).split('\n');
    const [one, two] = [lines.find((line) => line.includes('One'))!, lines.find((line) => line.includes('Two'))!];
    expect(two).toContain('✋');
    expect(columns(two.slice(0, two.indexOf('Two')))).toBe(columns(one.slice(0, one.indexOf('One'))));
    expect(two).toContain('done by hand by ben: started it on the host');
  });

  it('has an ASCII form', () => {
    for (const state of Object.values(all)) {
      const own = draw(
        { ...state, questions: state.questions.map((one) => ({ ...one, text: 'What now?' })) },
        {
          ascii: true,
          progress: restoring(50),
        },
      );
      expect(own.match(/[^\n -~]/g)).toBeNull();
    }
  });

  it('lets no terminal escape of others through', () => {
    const text = draw({
      ...running,
      steps: [step('Check', 0, 1, { summary: 'a\u001b]0;title\u0007\u001b[2Jb\rc' })],
      notes: [{ at: at(1), by: 'x', text: '\u001b[31mred' }],
    });
    expect(text).not.toMatch(/[\u001b\u0007\r]/);
  });
});

describe('the events', () => {
  const none = { before: [], now: [] };
  const options = { now: moment(300) };

  it('say what happened until now, once', () => {
    const first = renderEvents(undefined, running, none, options);
    expect(first[0]).toBe(
      '03:15:02 UTC  shop-20261121-031502: asha declared database-corruption for the database main of shop, RTO objective 15m 00s',
    );
    expect(first.at(-1)).toBe('03:16:13 UTC  ▶ Restore beside on db1');
    expect(renderEvents(running, running, none, options)).toEqual([]);
  });

  it('say a long step at each tenth of its way', () => {
    const between = (before: number, now: number) =>
      renderEvents(running, running, { before: restoring(before), now: restoring(now) }, options);
    expect(between(3, 9)).toEqual([]);
    expect(between(9, 10.4)).toEqual([
      '03:20:02 UTC  restoring 20261121-020000F: 10%, 2.1 GB of 20.0 GB, about 3m 10s left',
    ]);
    expect(between(10.4, 19)).toEqual([]);
    expect(between(19, 41)).toHaveLength(1);
  });

  it('ask, once, with the commands that answer', () => {
    const lines = renderEvents(running, failedStep, none, options);
    expect(lines.join('\n')).toContain('✖ Restore beside: failed, 2m 23s');
    expect(lines.join('\n')).toContain('decision needed at "Restore beside"');
    expect(lines.join('\n')).toContain('Hint: Retry with the next location');
    expect(lines.some((line) => line.startsWith('      lifeboat decide retry '))).toBe(true);
    expect(renderEvents(failedStep, failedStep, none, options)).toEqual([]);
  });

  it('end with the figures and what to type next', () => {
    const lines = renderEvents(waitingForApproval, recovered, none, options);
    expect(lines).toContain('03:24:50 UTC  ✔ Approve: done, 2m 02s: ben approved.');
    expect(lines).toContain('    RTO 10m 40s (objective 15m 00s: met)');
    expect(lines).toContain(`      lifeboat close --incident ${recovered.id}`);
    expect(renderEvents(undefined, refused, none, options).join('\n')).toContain('Give a later target time');
  });

  it('say DRILL at the start and at the end', () => {
    const lines = renderEvents(undefined, drill, none, options);
    expect(lines[0]).toContain('DRILL: ');
    expect(lines.join('\n')).toContain('DRILL: Closed.');
  });
});
