import { describe, expect, test } from 'vitest';
import { type Observation, topologyOf } from '../../vocabulary/topology.js';

const planned = { primary: 'db1', standbys: ['db2', 'db3'] };
const up = (role: 'primary' | 'standby', timeline = 1, more: Partial<Observation> = {}): Observation => ({
  ...{ server: 'up', role, timeline, systemIdentifier: 'ours' },
  ...more,
});
const down = (role?: 'primary' | 'standby', timeline = 1): Observation =>
  role ? { server: 'down', role, timeline, systemIdentifier: 'ours' } : { server: 'down' };
const away: Observation = { server: 'unclear', why: 'its agent does not answer' };

describe('who is the primary', () => {
  const cases: [string, Record<string, Observation>, string, string[]][] = [
    ['the plan is right', { db1: up('primary'), db2: up('standby'), db3: up('standby') }, 'db1', ['db1']],
    [
      'a standby was promoted, the old primary is away',
      { db1: away, db2: up('primary', 2), db3: up('standby', 2) },
      'db2',
      ['db2'],
    ],
    [
      'a standby was promoted, the old primary is down',
      { db1: down('primary', 1), db2: up('primary', 2), db3: away },
      'db2',
      ['db2'],
    ],
    [
      'a standby was promoted, the old primary follows it',
      { db1: up('standby', 2), db2: up('primary', 2), db3: away },
      'db2',
      ['db2'],
    ],
    [
      'the primary is down, its standbys wait',
      { db1: down('primary'), db2: up('standby'), db3: up('standby') },
      'db1',
      [],
    ],
    ['the primary is down and says nothing', { db1: down(), db2: up('standby'), db3: up('standby') }, 'db1', []],
    ['nobody answers', { db1: away, db2: away, db3: away }, 'db1', []],
    ['the promoted one is down, too', { db1: away, db2: down('primary', 2), db3: up('standby', 2) }, 'db2', []],
    ['both are down, one was promoted', { db1: down('primary', 1), db2: down('primary', 2), db3: away }, 'db2', []],
    ['two take writes', { db1: up('primary', 1), db2: up('primary', 2), db3: away }, 'db2', ['db1', 'db2']],
    [
      'a standby is a primary without a promotion, and the real one is down',
      { db1: down('primary', 1), db2: up('primary', 1), db3: away },
      'db1',
      ['db1', 'db2'],
    ],
    [
      'a standby is a primary without a promotion, and nobody knows of the real one',
      { db1: away, db2: up('primary', 1, { promoted: false }), db3: away },
      'db2',
      ['db1', 'db2'],
    ],
    [
      'a standby was promoted, as its agent has seen, and the old primary is away',
      { db1: away, db2: up('primary', 2, { promoted: true }), db3: away },
      'db2',
      ['db2'],
    ],
    [
      'the old primary came back, and the promoted one is down',
      { db1: up('primary', 1), db2: down('primary', 2), db3: up('standby', 2) },
      'db2',
      ['db1', 'db2'],
    ],
    [
      'another cluster runs there',
      { db1: up('primary'), db2: up('primary', 7, { systemIdentifier: 'another' }), db3: away },
      'db1',
      ['db1'],
    ],
  ];
  test.each(cases)('%s', (_what, seen, primary, primaries) => {
    const found = topologyOf(planned, seen);
    expect(found).toEqual({ primary, others: ['db1', 'db2', 'db3'].filter((host) => host !== primary), primaries });
  });
});
