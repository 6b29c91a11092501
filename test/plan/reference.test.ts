import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { planReference } from '../../plan/reference.js';

it('docs/plan.md is current; if this fails, type: npm run schema', async () => {
  expect(await readFile('docs/plan.md', 'utf8')).toBe(planReference());
});

it.each([
  'databases.NAME.backups.physical.locations',
  'services.NAME.health.url',
  'services.NAME.control.systemd',
  'drills[].schedule',
  'system',
])('has a line for %s', (key) => {
  expect(planReference()).toContain(`| \`${key}\` |`);
});
