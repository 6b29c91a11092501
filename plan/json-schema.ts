import { z } from 'zod';
import { planSchema } from './schema.js';

/**
 * The JSON schema of the plan file as its author writes it, for editors: the text of `plan/lifeboat.schema.json`. What
 * needs the whole file (unknown hosts, two databases on one port) only `lifeboat check` can tell. Pure.
 */
export function planJsonSchema(): string {
  const schema = z.toJSONSchema(planSchema, {
    target: 'draft-7',
    io: 'input',
    override: ({ jsonSchema }) => tidy(jsonSchema),
  });
  const { $schema, ...rest } = schema;
  const head = {
    $schema,
    title: 'Lifeboat plan',
    description: 'The plan file of Lifeboat: what is protected, how well, and by whom.',
    $comment: 'Generated from plan/schema.ts by: npm run schema',
  };
  return `${JSON.stringify({ ...head, ...rest }, null, 2)}\n`;
}

/** Editors show the bounds of a safe integer as if they meant something. */
function tidy(schema: z.core.JSONSchema.BaseSchema): void {
  if (schema.maximum === Number.MAX_SAFE_INTEGER) delete schema.maximum;
}
