import { expect, it } from 'vitest';
import { planDigest } from '../../plan/digest.js';
import { parsePlan } from '../../plan/load.js';
import { change, good } from './plans.js';

const digest = (text: string): string => planDigest(parsePlan(text, 'lifeboat.yaml'));

it('is twelve hex characters, and stays', () => {
  expect(digest(good)).toMatch(/^[0-9a-f]{12}$/);
  expect(digest(good)).toBe(digest(good));
});
it.each([
  ['comments', `# new\n${good}# end\n`],
  ['the order of keys', change(['rto: 1h, rpo: 15m', 'rpo: 15m, rto: 1h'])],
  ['the way a value is written', change(['rto: 1h', 'rto: 3600s'], ['system: shop', 'system: "shop"'])],
  [
    'a default that is written out',
    change(['timezone: Asia/Kolkata', 'timezone: Asia/Kolkata\napprovals: { people: 1 }']),
  ],
])('does not change with %s', (_, text) => expect(digest(text)).toBe(digest(good)));
it.each([
  ['a value', change(['rto: 1h', 'rto: 2h'])],
  ['the order of a list', change(['[onsite, offsite]', '[offsite, onsite]'])],
  ['something added', change(['region: there', 'region: there, address: 192.0.2.2'])],
])('changes with %s', (_, text) => expect(digest(text)).not.toBe(digest(good)));
