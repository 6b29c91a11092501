import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { planJsonSchema } from '../../plan/json-schema.js';

it('plan/lifeboat.schema.json is current; if this fails, type: npm run schema', async () => {
  expect(await readFile('plan/lifeboat.schema.json', 'utf8')).toBe(planJsonSchema());
});
it('describes what an author writes: durations as text, defaults left out', () => {
  const schema = JSON.parse(planJsonSchema()) as {
    required: string[];
    properties: { objectives: { properties: { rto: object } } };
  };
  expect(schema.required).toEqual(['system', 'objectives', 'hosts', 'locations', 'databases']);
  expect(schema.properties.objectives.properties.rto).toMatchObject({
    type: 'string',
    description: 'How long the service may be away',
  });
});
