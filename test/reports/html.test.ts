import { describe, expect, it } from 'vitest';
import { renderHtml } from '../../activities/reports/index.js';
import type { IncidentState } from '../../vocabulary/incident.js';
import {
  all,
  at,
  closed,
  drill,
  dryRun,
  failedStep,
  missed,
  moment,
  recovered,
  refused,
  serviceLate,
  step,
  waitingForApproval,
} from './fixtures.js';

const now = moment(1100);
const page = (state: IncidentState, more = {}) => renderHtml(state, { now, ...more });

describe('the HTML report', () => {
  it.each(Object.entries(all))('asks for nothing from outside and runs nothing: %s', (_, state) => {
    const text = page(state);
    expect(text).not.toMatch(/<script|<link|<img|<iframe|<object|@import|\ssrc=|\son\w+=/i);
    expect([...text.matchAll(/url\((?!#)/g)]).toEqual([]);
    expect(text.match(/href="[^"]*"/g)).toBeNull();
    expect(text).toContain("default-src 'none'");
    expect(text).not.toMatch(/NaN|undefined|\[object/);
  });

  it('says what happened first, and the figures against the objectives', () => {
    const text = page(recovered);
    expect(text).toContain('On 2026-11-21 03:15:02 UTC, asha declared database-corruption');
    expect(text).toContain('The service was recovered and verified 10m 40s after the declaration.');
    expect(text).toContain('class="card met"');
    expect(text).toContain('aria-label="RTO: 10m 40s (objective 15m 00s: met)"');
  });

  it('holds each component against its own objectives, where there is more than one', () => {
    const text = page(serviceLate)
      .replaceAll(/<[^>]*>/g, ' ')
      .replaceAll(/\s+/g, ' ');
    expect(text).toContain('database main ✔ 6m 40s (objective 15m 00s: met)');
    expect(text).toContain('service web ✖ 7m 00s (objective 5m 00s: missed by 2m 00s) holds no data of its own');
    expect(page(recovered)).not.toContain('<h2>Components</h2>');
  });

  it('says missed in words, and why a figure is missing', () => {
    const text = page(missed);
    expect(text).toContain('✖ Missed by 3m 50s');
    expect(text).toContain('Not measured');
    expect(text).toContain('The restored copy holds no canary');
    expect(text).toContain('✖ no');
  });

  it('says where the quarantined copy lies and that it is kept', () => {
    const text = page(recovered);
    expect(text).toContain('/var/lib/postgresql/15/main.quarantine-shop-20261121-031502');
    expect(text).toContain('24.5 GB');
    expect(text).toContain('only an explicit command of a person does');
  });

  it('says DRILL and DRY RUN before anything else, on every sheet, and marks each rehearsed step', () => {
    for (const [state, word] of [
      [drill, 'DRILL'],
      [dryRun, 'DRY RUN'],
    ] as const) {
      const text = page(state);
      expect(text).toContain(`<title>${word}: `);
      expect(text.slice(text.indexOf('<body>')).replace(/\s+/g, ' ')).toMatch(
        new RegExp(`^<body> <div class="loud" role="note"><strong>${word}</strong>`),
      );
      expect(text).toContain(`@top-center{content:"${word}"`);
      const rehearsed = state.steps.filter((one) => one.rehearsed).length;
      expect(text.split('<em class="tag rehearsed">rehearsed</em>')).toHaveLength(rehearsed + 1);
    }
    expect(page(recovered)).not.toContain('class="loud"');
  });

  it('shows the waiting for a person, the failed attempts and the shortest step', () => {
    const text = page(waitingForApproval);
    expect(text).toContain('class="part waiting"');
    expect(text).toContain('class="part failed"');
    expect(text).toMatch(/<title>Choose the backup: done, started 03:16:13 UTC, took 20 ms/);
    expect(page(failedStep)).toContain(
      'Restore beside: failed, started 03:16:13 UTC, took 2m 23s; failed attempts 2m 23s, waited for a person',
    );
  });

  it('draws a step of 20 ms in a run of hours', () => {
    const text = page({ ...closed, steps: [step('Short', 0, 0.02), step('Long', 0.02, 36_000)] });
    expect(text).toContain('took 20 ms');
    expect(text).toMatch(/class="part work"[^>]*width="0\.010%"/);
    expect(text).not.toMatch(/class="part[^>]*width="0\.000%"/);
  });

  it('knows how long a decision was waited for when the decision says when it was asked for', () => {
    const decision = { by: 'ben', choice: 'skip', at: at(90), askedAt: at(30) };
    const state = {
      ...closed,
      steps: [step('Watch', 0, 90, { status: 'skipped', decision, problem: { message: 'no answer' } })],
    };
    expect(page(state)).toContain('failed attempts 30s, waited for a person 1m 00s');
  });

  it('shows the timezone of the plan beside UTC, never in its place', () => {
    const text = page(recovered, { timezone: 'Asia/Kolkata' });
    expect(text).toContain('2026-11-21 03:15:02 UTC (08:45:02 Asia/Kolkata)');
  });

  it('links the Temporal UI, and only to the web', () => {
    expect(page(recovered, { temporalUi: 'https://temporal.example/a?b=1&c' })).toContain(
      '<a href="https://temporal.example/a?b=1&amp;c" rel="noreferrer">',
    );
    expect(page(recovered, { temporalUi: 'javascript:alert(1)' })).not.toContain('<a ');
  });

  it('leaves out what has nothing to say', () => {
    const text = page(refused);
    for (const title of ['Row counts', 'Quarantine', 'Evidence', 'Notes', 'Warnings', 'Post-recovery tasks'])
      expect(text).not.toContain(`<h2>${title}`);
    expect(text).toContain('Nothing was changed: the database main runs as before.');
  });

  it('shows what people and servers wrote as text, wherever it stands', () => {
    const evil = `</style></title><script>alert(1)</script>"'><img src=x onerror=alert(2)>\u001b[31m\u202e`;
    const text = page(poisoned(recovered, evil), { temporalUi: `https://x/${evil}` });
    expect(text).not.toMatch(/<script|<img/i);
    expect(text.match(/<\/style>/g)).toHaveLength(1);
    expect(text.match(/<\/title>/g)!.length).toBe(text.match(/<title>/g)!.length);
    expect(text).not.toMatch(/[\u001b\u202e]/);
    expect(text).toContain('&lt;script&gt;alert(1)&lt;/script&gt;');
    expect(text).not.toMatch(/="[^"]*"'/);
    const waiting = page(poisoned(waitingForApproval, evil));
    expect(waiting).not.toMatch(/<script|<img/i);
  });
});

/** Every text that is not a time or a word of ours is replaced. */
function poisoned(state: IncidentState, evil: string): IncidentState {
  const ours = new Set([
    'mode',
    'phase',
    'status',
    'kind',
    'declaredAt',
    'startedAt',
    'endedAt',
    'at',
    'askedAt',
    'takenAt',
    'doneAt',
  ]);
  return JSON.parse(JSON.stringify(state), (key, value: unknown) =>
    typeof value === 'string' && !ours.has(key) ? evil : value,
  ) as IncidentState;
}
