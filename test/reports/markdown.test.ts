import { describe, expect, it } from 'vitest';
import { renderMarkdown } from '../../activities/reports/index.js';
import type { IncidentState } from '../../vocabulary/incident.js';
import {
  aborted,
  all,
  closed,
  drill,
  failedStep,
  missed,
  moment,
  recovered,
  refused,
  serviceLate,
} from './fixtures.js';

const page = (state: IncidentState, more = {}) => renderMarkdown(state, { now: moment(1100), ...more });

describe('the Markdown report', () => {
  it.each(Object.entries(all))('has no hole in it: %s', (_, state) => {
    expect(page(state)).not.toMatch(/NaN|undefined|\[object|\n{3}/);
  });

  it('says everything that an auditor asks for', () => {
    const text = page(recovered, { timezone: 'Asia/Kolkata', temporalUi: 'http://localhost:8233/x' });
    for (const part of [
      'On 2026-11-21 03:15:02 UTC (08:45:02 Asia/Kolkata), asha declared database-corruption',
      'The database main runs from the restored copy on db1, and its services are resumed.',
      '✔ 10m 40s (objective 15m 00s: met)',
      '✔ 4.2s (objective 5m 00s: met)',
      '| `public.orders` | 1,204,551 | 1,204,549 | ✔ yes |',
      '| `public.sessions` | not known | 88,120 | ✔ yes |',
      '`20261121-020000F` from onsite',
      '| db1 | `/var/lib/postgresql/15/main.quarantine-shop-20261121-031502` | 24.5 GB |',
      'only an explicit command of a person does',
      recovered.evidence[0]!.sha256,
      recovered.planDigest,
      'http://localhost:8233/x',
      '**Decision:** ben chose retry',
      '- [ ] Find the root cause (`root-cause`): open',
      'The standby dr1 is offline',
      '**ben**: The mount of onsite was stale.',
    ])
      expect(text).toContain(part);
  });

  it('holds each component against its own objectives, where there is more than one', () => {
    const text = page(serviceLate);
    expect(text).toContain('| database main | ✔ 6m 40s (objective 15m 00s: met) | ✔ 4.2s (objective 5m 00s: met) |');
    expect(text).toContain(
      '| service web | ✖ 7m 00s (objective 5m 00s: missed by 2m 00s) | holds no data of its own |',
    );
    expect(page(recovered)).not.toContain('## Components');
  });

  it('says missed, and why a figure is missing', () => {
    const text = page(missed);
    expect(text).toContain('✖ 18m 50s (objective 15m 00s: missed by 3m 50s)');
    expect(text).toContain('not measured: the restored copy holds no canary');
    expect(text).toContain('| `public.payments` | 50,000 | 41,002 | ✖ **no** |');
  });

  it('says how it stands before the end', () => {
    expect(page(failedStep)).toContain('waits for a person at the step “Restore beside”');
    expect(page(failedStep)).toContain(
      'the service is not recovered yet, 18m 20s after the declaration (objective 15m 00s, already missed)',
    );
  });

  it('says that nothing was changed, or what was left', () => {
    expect(page(refused)).toContain('The request was refused, and nothing was changed.');
    expect(page(refused)).toContain('**Hint:** Give a later target time');
    expect(page(aborted)).toContain('It was aborted 4m 20s after the declaration. Writes to main stay stopped');
  });

  it('starts with DRILL, and marks what was rehearsed', () => {
    const text = page(drill);
    expect(text.startsWith('> # ⚠ DRILL ⚠')).toBe(true);
    expect(text).toContain('| Stop writes | done, **rehearsed** |');
    expect(text).toContain('## What would have been lost');
  });

  it('says who did the tasks', () => {
    expect(page(closed)).toContain('- [x] Find the root cause (`root-cause`): done 2026-11-22 04:15:02 UTC by asha');
  });

  it('shows the words of others as words', () => {
    const text = page({
      ...recovered,
      notes: [
        {
          at: recovered.declaredAt,
          by: 'b|en',
          text: '# <script>alert(1)</script>\n| [x](javascript:y) | `a` **b** snake_case',
        },
      ],
    });
    expect(text).toContain(
      '**b\\|en**: \\# \\<script\\>alert(1)\\</script\\> \\| \\[x\\](javascript:y) \\| \\`a\\` \\*\\*b\\*\\* snake_case',
    );
  });
});
