// `npm run schema`: writes plan/lifeboat.schema.json from plan/schema.ts. `npm run schema -- --check`: exits 1 when it is not current.
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

const file = new URL('../plan/lifeboat.schema.json', import.meta.url);
if (!process.argv.includes('--check')) {
  writeFileSync(file, planJsonSchema());
} else if (readFileSync(file, 'utf8') !== planJsonSchema()) {
  console.error('plan/lifeboat.schema.json is not current. Type: npm run schema');
  process.exitCode = 1;
}
