// `npm run schema`: writes plan/lifeboat.schema.json and docs/plan.md from plan/schema.ts. With --check: exits 1 when
// one is not current.
import { readFileSync, writeFileSync } from 'node:fs';
import { registerHooks } from 'node:module';

// Node runs TypeScript by itself, but does not find our x.ts by the name x.js.
registerHooks({
  resolve: (specifier, context, next) => {
    const ours = specifier.startsWith('.') && !context.parentURL?.includes('/node_modules/');
    return next(ours ? specifier.replace(/\.js$/, '.ts') : specifier, context);
  },
});
const { planJsonSchema } = await import('../plan/json-schema.js');
const { planReference } = await import('../plan/reference.js');

for (const [path, text] of [
  ['plan/lifeboat.schema.json', planJsonSchema()],
  ['docs/plan.md', planReference()],
] as const) {
  const file = new URL(`../${path}`, import.meta.url);
  if (!process.argv.includes('--check')) writeFileSync(file, text);
  else if (readFileSync(file, 'utf8') !== text) {
    console.error(`${path} is not current. Type: npm run schema`);
    process.exitCode = 1;
  }
}
