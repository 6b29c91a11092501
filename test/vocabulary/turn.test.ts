import { expect, test } from 'vitest';
import { pauseBefore } from '../../vocabulary/turn.js';

test('twelve hours of waiting for a turn are a few hundred looks: a history holds them many times over', () => {
  let looks = 0;
  for (let waited = 0; waited < 12 * 3600; looks += 1) waited += pauseBefore(looks);
  expect(looks).toBeLessThan(200);
  expect(pauseBefore(0), 'most work is short').toBe(1);
});
