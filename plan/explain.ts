import type { z } from 'zod';
import { planSchema } from './schema.js';
import { showValue, type Path } from './show.js';
import { closest, suggestion } from './suggest.js';

/** What zod found, as problems that a person can act on. Pure. */

export interface Finding {
  path: Path;
  /** Where in the file: at the key of the path, or at its value. */
  at: 'key' | 'value';
  kind: 'unknown-key' | 'bad-key' | 'missing' | 'wrong' | 'reference';
  message: string;
  found?: string | undefined;
  expected?: string | undefined;
  hint?: string | undefined;
}

type Issue = z.core.$ZodIssue;

/** Takes the data of the file; gives the plan, or all that keeps it from being one. */
export function validate(data: unknown): { plan: z.output<typeof planSchema> } | { findings: Finding[] } {
  const parsed = planSchema.safeParse(data, { error: expectation });
  if (parsed.success) return { plan: parsed.data };
  const findings = flatten(parsed.error.issues, [], data).map((issue) => finding(issue, data));
  return { findings: [...findings, ...belowBadKeys(data, findings)] };
}

/** zod does not look below a key that is not a name. So each is renamed, and the file looked at again. */
function belowBadKeys(data: unknown, findings: Finding[]): Finding[] {
  const bad = findings.filter((each) => each.kind === 'bad-key').map((each) => each.path);
  if (bad.length === 0) return [];
  const copy = structuredClone(data);
  const original = new Map<string, string>();
  for (const [count, path] of bad.entries()) {
    const parent = valueAt(copy, path.slice(0, -1)) as Record<string, unknown>;
    const key = String(path.at(-1));
    const stand = `renamed-${count}-by-lifeboat`;
    original.set(stand, key);
    parent[stand] = parent[key];
    delete parent[key];
  }
  const again = planSchema.safeParse(copy, { error: expectation });
  if (again.success) return [];
  return flatten(again.error.issues, [], copy)
    .filter((issue) => issue.path.some((part) => original.has(String(part))))
    .map((issue) => finding({ ...issue, path: issue.path.map((part) => original.get(String(part)) ?? part) }, data));
}

type Flat = { path: (string | number)[]; issue: Issue; key?: string };

/** Issues with their whole path; of a value that may have several forms, only those of the form that was meant. */
function flatten(issues: readonly Issue[], base: Path, data: unknown): Flat[] {
  return issues.flatMap((issue): Flat[] => {
    const path = [...base, ...(issue.path as (string | number)[])];
    if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => ({ path: [...path, key], issue, key }));
    if (issue.code === 'invalid_union') {
      const form = meantForm(issue.errors);
      if (form) return flatten(form, path, data);
    }
    return [{ path, issue }];
  });
}

/** The form whose type fits, with the fewest unknown keys, then with the fewest issues. Undefined when none fits. */
function meantForm(forms: readonly (readonly Issue[])[]): readonly Issue[] | undefined {
  const unknown = (form: readonly Issue[]): number =>
    form.reduce((sum, issue) => sum + (issue.code === 'unrecognized_keys' ? issue.keys.length : 0), 0);
  return forms
    .filter((form) => !form.some((issue) => issue.path.length === 0 && issue.code === 'invalid_type'))
    .sort((a, b) => unknown(a) - unknown(b) || a.length - b.length)[0];
}

function finding({ path, issue, key }: Flat, data: unknown): Finding {
  if (key !== undefined) {
    return {
      path,
      at: 'key',
      kind: 'unknown-key',
      message: `unknown key "${key}"`,
      found: key,
      hint: keyHint(key, path),
    };
  }
  const last = String(path.at(-1) ?? '');
  if (issue.code === 'invalid_key') {
    return {
      path,
      at: 'key',
      kind: 'bad-key',
      message: `"${last}" is not a name`,
      found: last,
      expected: expectation(issue.issues[0]!),
    };
  }
  const value = valueAt(data, path);
  const expected = path.length === 0 ? 'keys and their values, beginning with "system: NAME"' : issue.message;
  if (value === undefined) {
    return { path, at: 'key', kind: 'missing', message: `"${last}" is missing`, expected, hint: describe(path) };
  }
  // Where a reference belongs, what stands there instead may be the secret, whatever its key is called.
  const found = value !== null && expected.startsWith(aSecret) ? '(hidden)' : showValue(value, path);
  if (value === null) {
    return {
      path,
      at: 'value',
      kind: 'missing',
      message: 'there is nothing after the ":"',
      found,
      expected,
      hint: 'give it a value, or remove the key',
    };
  }
  return {
    path,
    at: 'value',
    kind: 'wrong',
    message: `${found} is not right`,
    found,
    expected,
    hint: wrongHint(value, expected, path),
  };
}

/** How the expectation of a secret begins: plan/values.ts. */
const aSecret = 'a reference to a secret';

function wrongHint(value: unknown, expected: string, path: Path): string | undefined {
  if (expected.startsWith(aSecret)) {
    return 'put the secret into an environment variable or a file of the host, write its name here, and change the secret: it was in a file';
  }
  if (typeof value === 'string' && expected.startsWith('one of ')) return suggestion(value, optionsAt(path), 'value');
  if (typeof value === 'string' && /^a (whole )?number/.test(expected) && /^\d+$/.test(value))
    return 'remove the quotes';
  if (typeof value === 'number' && expected.startsWith('a text')) return 'put it in quotes';
  return undefined;
}

/** What would be right, where the schema itself does not say it. zod asks for it while it parses. */
function expectation(issue: z.core.$ZodRawIssue | Issue): string {
  switch (issue.code) {
    case 'invalid_type':
      return types[issue.expected] ?? issue.expected;
    case 'invalid_value':
      return issue.values.length === 1
        ? JSON.stringify(issue.values[0])
        : `one of ${issue.values.map((value) => JSON.stringify(value)).join(', ')}`;
    case 'too_small':
      if (issue.origin === 'string') return 'a text that is not empty';
      if (issue.origin === 'array') return `a list of at least ${issue.minimum}`;
      return `a whole number of at least ${issue.minimum}`;
    case 'too_big':
      return `a number of at most ${issue.maximum}`;
    case 'invalid_union':
      return [
        ...new Set(
          issue.errors.flatMap((form) => form.filter((each) => each.path.length === 0).map((each) => each.message)),
        ),
      ].join(', or ');
    case 'invalid_format':
      return issue.format === 'regex' && issue.message ? issue.message : 'a text of another form';
    default:
      return issue.message ?? 'something else';
  }
}

const types: Record<string, string> = {
  string: 'a text',
  int: 'a whole number',
  number: 'a number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a map',
  record: 'a map',
};

// --- what the schema knows ---

function keyHint(key: string, path: Path): string {
  if (key === '<<') return 'YAML 1.2 has no merge keys: write the values out';
  const known = keysOf(nodesAt(path.slice(0, -1)));
  const near = closest(key, known);
  if (near !== undefined) return `did you mean "${near}"?`;
  const elsewhere = places.get(key);
  return elsewhere ? `"${key}" belongs below ${elsewhere}` : suggestion(key, known, 'key');
}

/** What the missing key is for: its description in the schema. */
function describe(path: Path): string | undefined {
  for (const node of nodesAt(path)) {
    const description = node.description ?? undefined;
    if (description) return `${path.at(-1)}: ${description.charAt(0).toLowerCase()}${description.slice(1)}`;
  }
  return undefined;
}

const optionsAt = (path: Path): string[] =>
  nodesAt(path).flatMap((node) =>
    node.def.type === 'enum' ? Object.keys((node.def as z.core.$ZodEnumDef).entries) : [],
  );

type SchemaNode = z.core.$ZodType & { def: z.core.$ZodTypeDef; description?: string | undefined };

/** A schema without what is wrapped around it: each of its forms. */
function forms(schema: SchemaNode): SchemaNode[] {
  const { def } = schema;
  if (def.type === 'union') return [schema, ...((def as z.core.$ZodUnionDef).options as SchemaNode[]).flatMap(forms)];
  if (def.type === 'optional' || def.type === 'default')
    return [schema, ...forms((def as z.core.$ZodOptionalDef).innerType as SchemaNode)];
  if (def.type === 'pipe') return [schema, ...forms((def as z.core.$ZodPipeDef).in as SchemaNode)];
  return [schema];
}

function childrenOf(node: SchemaNode, part: string | number): SchemaNode[] {
  const { def } = node;
  if (def.type === 'object') {
    const shape = (def as z.core.$ZodObjectDef).shape as Record<string, SchemaNode>;
    return Object.hasOwn(shape, part) ? forms(shape[part]!) : [];
  }
  if (def.type === 'record') return forms((def as z.core.$ZodRecordDef).valueType as SchemaNode);
  if (def.type === 'array') return forms((def as z.core.$ZodArrayDef).element as SchemaNode);
  return [];
}

const nodesAt = (path: Path): SchemaNode[] =>
  path.reduce<SchemaNode[]>((nodes, part) => nodes.flatMap((node) => childrenOf(node, part)), forms(planSchema));

const keysOf = (nodes: SchemaNode[]): string[] => [
  ...new Set(
    nodes.flatMap((node) => (node.def.type === 'object' ? Object.keys((node.def as z.core.$ZodObjectDef).shape) : [])),
  ),
];

/** Where each key of the schema belongs: `dataDirectory` below `databases.NAME.postgres`. The first place of each. */
const places = collectPlaces();

function collectPlaces(): Map<string, string> {
  const found = new Map<string, string>();
  const walk = (nodes: SchemaNode[], path: string): void => {
    for (const key of keysOf(nodes)) {
      if (path && !found.has(key)) found.set(key, path);
      walk(
        nodes.flatMap((node) => (node.def.type === 'object' ? childrenOf(node, key) : [])),
        path ? `${path}.${key}` : key,
      );
    }
    const items = nodes.filter((node) => node.def.type === 'record' || node.def.type === 'array');
    if (items.length > 0)
      walk(
        items.flatMap((node) => childrenOf(node, 0)),
        `${path}${items[0]!.def.type === 'record' ? '.NAME' : '[]'}`,
      );
  };
  walk(forms(planSchema), '');
  return found;
}

/** The value at a path of the raw data, or undefined. */
function valueAt(data: unknown, path: Path): unknown {
  let value = data;
  for (const part of path) {
    if (value === null || typeof value !== 'object' || !Object.hasOwn(value, part)) return undefined;
    value = (value as Record<string | number, unknown>)[part];
  }
  return value;
}
