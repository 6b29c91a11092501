import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { cruise } from 'dependency-cruiser';
import type { ICruiseResult, IConfiguration } from 'dependency-cruiser';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

/** The house rules on imports, each held against a file that breaks it: a rule that never fires protects nothing. */

const root = resolve(import.meta.dirname, '..');
const config = createRequire(import.meta.url)('../.dependency-cruiser.cjs') as IConfiguration;

/** Rule: a file that breaks it, and what it says. */
const broken: Record<string, [file: string, source: string][]> = {
  'no-circular': [['plan/values.ts', `export { c as b } from './secrets.js';`]],
  'vocabulary-imports-nothing': [
    ['vocabulary/target.ts', `import { sep } from 'node:path'; export const a = sep;`],
    ['vocabulary/units.ts', `import type { b } from '../plan/values.js'; export type A = typeof b;`],
    ['vocabulary/alert.ts', `export { z } from 'zod';`],
  ],
  'plan-imports-vocabulary': [
    ['plan/load.ts', `import type { b } from '../workflows/messages.js'; export type c = typeof b;`],
  ],
  'steps-import-plan': [['steps/fence.ts', `import type { s } from '../scenarios/loss.js'; export type A = typeof s;`]],
  'scenarios-import-steps': [['scenarios/breach.ts', `export { b } from '../plan/access.js';`]],
  'steps-are-pure': [
    ['steps/fence.ts', `export { c } from '../plan/secrets.js';`],
    ['steps/promote.ts', `export { readFileSync } from 'node:fs';`],
    ['steps/follow.ts', `export { sleep } from '@temporalio/workflow';`],
    ['scenarios/breach.ts', `export { e } from '../activities/errors.js';`],
  ],
  'pure-plan-imports-vocabulary': [['plan/words.ts', `export { z } from 'zod';`]],
  'document-imports-scenarios': [
    ['document/page.ts', `import type { e } from '../activities/errors.js'; export type A = typeof e;`],
  ],
  'activities-import-plan': [
    ['activities/start.ts', `import type { a } from '../client/api.js'; export type b = typeof a;`],
    ['activities/same.ts', `import type { a } from '../workflows/scenario.js'; export type b = typeof a;`],
  ],
  'postgres-imports-no-backups': [
    ['activities/postgres/server.ts', `export { g } from '../backups/engine.js';`],
    ['activities/postgres/fence.ts', `export { r } from '../recovery/assess.js';`],
  ],
  'recovery-stands-on-backups': [['activities/backups/wal.ts', `export { r } from '../recovery/assess.js';`]],
  'workflows-import-activities-as-types': [['workflows/corruption.ts', `export { e } from '../activities/errors.js';`]],
  'workflows-import-plan-as-types': [['workflows/corruption.ts', `export { c } from '../plan/secrets.js';`]],
  'workflows-import-no-caller': [
    ['workflows/corruption.ts', `import type { a } from '../client/api.js'; export type b = typeof a;`],
  ],
  'workflows-import-no-node': [
    ['workflows/corruption.ts', `import { readFileSync } from 'fs'; export const a = readFileSync;`],
  ],
  'workflows-import-no-host-sdk': [['workflows/corruption.ts', `export { Client } from '@temporalio/client';`]],
  'workflows-are-types-outside': [
    ['client/declare.ts', `export { b } from '../workflows/messages.js';`],
    ['worker/control.ts', `export { b } from '../workflows/messages.js';`],
  ],
  'worker-imports-no-client': [['worker/control.ts', `export { a } from '../client/api.js';`]],
  'client-loads-worker-late': [['client/up.ts', `export { w } from '../worker/run.js';`]],
  'lab-is-for-tests': [['client/demo.ts', `export const demo = () => import('../lab/system.js');`]],
  'nothing-imports-tests': [['lab/help.ts', `export { h } from '../test/help.js';`]],
  'no-development-dependency': [
    ['worker/control.ts', `export { TestWorkflowEnvironment } from '@temporalio/testing';`],
  ],
  'no-undeclared-package': [['worker/control.ts', `export { default } from 'webpack';`]],
};

/** What the others import, and all of it within the rules. */
const house: Record<string, string> = {
  'vocabulary/names.ts': `export const a = 'a';`,
  'plan/values.ts': `import { z } from 'zod'; export const b = z.string();`,
  'plan/secrets.ts': `import { readFileSync } from 'node:fs'; import { b } from './values.js'; export const c = [readFileSync, b];`,
  'plan/access.ts': `import type { c } from '../plan/secrets.js'; import { a } from '../vocabulary/names.js'; export const b = a; export type C = typeof c;`,
  'activities/backups/engine.ts': `export const g = 1;`,
  'activities/recovery/assess.ts': `export { g as r } from '../backups/engine.js';`,
  'steps/stop.ts': `import type { e } from '../activities/errors.js'; import { b } from '../plan/access.js'; export const t = b; export type E = typeof e;`,
  'scenarios/loss.ts': `import { t } from '../steps/stop.js'; export const s = t;`,
  'document/chapter.ts': `import { c } from '../plan/secrets.js'; import { s } from '../scenarios/loss.js'; export const d = [c, s];`,
  'workflows/run.ts': `export { s } from '../scenarios/loss.js';`,
  'workflows/messages.ts': `import type { c } from '../plan/secrets.js'; import type { e } from '../activities/errors.js'; import { a } from '../vocabulary/names.js'; export const b = a; export type T = [typeof c, typeof e];`,
  'workflows/scenario.ts': `import { sleep } from '@temporalio/workflow'; export const a = sleep;`,
  'activities/errors.ts': `import { b } from '../plan/values.js'; export const e = b;`,
  'activities/words.ts': `export { a } from '../vocabulary/names.js';`,
  'worker/run.ts': `export { e as w } from '../activities/errors.js';`,
  'client/api.ts': `import type { b } from '../workflows/messages.js'; export const a = async (): Promise<typeof b> => (await import('../worker/run.js')).w;`,
  'lab/system.ts': `export { a } from '../client/api.js';`,
  'test/help.ts': `export { a as h } from '../lab/system.js';`,
};

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lifeboat-house-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function violations(name: string, files: Record<string, string>): Promise<string[]> {
  const baseDir = join(folder, name);
  for (const [file, source] of Object.entries(files)) {
    await mkdir(join(baseDir, dirname(file)), { recursive: true });
    await writeFile(join(baseDir, file), source);
  }
  for (const shared of ['node_modules', 'package.json', 'tsconfig.json'])
    await symlink(join(root, shared), join(baseDir, shared));
  const { options, forbidden } = config;
  const folders = [...new Set(Object.keys(files).map((file) => file.split('/')[0]!))];
  const { output } = await cruise(folders, {
    ...options,
    baseDir,
    validate: true,
    ruleSet: { forbidden: forbidden ?? [] },
  });
  return (output as ICruiseResult).summary.violations.map((violation) => violation.rule.name);
}

test('imports within the rules pass', async () => {
  expect(await violations('sound', house)).toEqual([]);
});

describe('an import against the rules is found:', () => {
  test('every rule has its example', () => {
    expect(Object.keys(broken).sort()).toEqual(config.forbidden!.map((rule) => rule.name!).sort());
  });

  for (const [rule, examples] of Object.entries(broken)) {
    test.each(examples)(`${rule}: %s`, async (file, source) => {
      expect(await violations(`${rule}-${file.replaceAll('/', '-')}`, { ...house, [file]: source })).toContain(rule);
    });
  }
});
