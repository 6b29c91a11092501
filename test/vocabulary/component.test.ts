import { describe, expect, test } from 'vitest';
import { type ComponentRecord, newComponent, totalsOf } from '../../vocabulary/component.js';

const component = (
  name: string,
  kind: ComponentRecord['kind'],
  more: Partial<ComponentRecord> = {},
): ComponentRecord => ({
  ...newComponent({ name, kind, objectives: { rtoSeconds: 900, ...(kind === 'database' ? { rpoSeconds: 300 } : {}) } }),
  ...more,
});

describe('what components come to together', () => {
  test('before anything is measured, the figures of an incident say why', () => {
    expect(totalsOf([component('main', 'database'), component('web', 'service')]).measured).toEqual({
      rtoSeconds: null,
      rtoNote: 'the service is not verified yet',
      rpoSeconds: null,
      rpoNote: 'nothing was restored',
    });
  });

  test('recovered is when the last one serves; lost is what the worst one lost', () => {
    const { measured } = totalsOf([
      component('main', 'database', { measured: { rtoSeconds: 100, rpoSeconds: 2 } }),
      component('billing', 'database', { measured: { rtoSeconds: 90, rpoSeconds: 7 } }),
      component('web', 'service', { measured: { rtoSeconds: 130, rpoSeconds: null } }),
    ]);
    expect(measured).toEqual({ rtoSeconds: 130, rpoSeconds: 7 });
  });

  test('one that was not measured keeps the whole from being measured, with its reason', () => {
    const { measured } = totalsOf([
      component('main', 'database', { measured: { rtoSeconds: 100, rpoSeconds: 2 } }),
      component('billing', 'database', {
        measured: { rtoSeconds: 90, rpoSeconds: null, rpoNote: 'there is no canary in the restored copy' },
      }),
      component('web', 'service', { measured: { rtoSeconds: null, rtoNote: 'resumed by hand', rpoSeconds: null } }),
    ]);
    expect(measured).toEqual({
      rtoSeconds: null,
      rtoNote: 'resumed by hand',
      rpoSeconds: null,
      rpoNote: 'billing: there is no canary in the restored copy',
    });
  });

  test('of several databases each line says which; of one alone nothing is added', () => {
    const rows = [{ table: 'orders', expected: 3, found: 3, ok: true }];
    const one = component('main', 'database', { rows, doubts: ['few orders'], lost: ['a minute'] });
    expect(totalsOf([one])).toMatchObject({ rows, doubts: ['few orders'], lost: ['a minute'] });
    expect(totalsOf([one, component('billing', 'database')])).toMatchObject({
      rows: [{ ...rows[0], table: 'main.orders' }],
      doubts: ['main: few orders'],
      lost: ['main: a minute'],
    });
  });
});
