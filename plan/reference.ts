import { code, table } from './markdown.js';
import { planJsonSchema } from './json-schema.js';

/**
 * The plan file key by key, for `docs/plan.md`: derived from the schema, so that it cannot say anything else. Gives
 * Markdown. Pure.
 */
export function planReference(): string {
  const schema = JSON.parse(planJsonSchema()) as Node;
  const sections = Object.keys(schema.properties ?? {}).filter((key) => isSection(schema.properties![key]!));
  return [
    '# The plan file',
    '',
    '<!-- Generated from plan/schema.ts by: npm run schema -->',
    '',
    'One YAML file names everything that Lifeboat protects. `lifeboat init` writes a first one, `lifeboat check` says what is wrong with it, line by line, `lifeboat document` prints it for people, and an editor completes it with `plan/lifeboat.schema.json`. A whole one with comments: [lifeboat.example.yaml](../lifeboat.example.yaml); those of five teams: [examples](../examples/README.md).',
    '',
    'Every host has its own copy. What a workflow is told are names out of the plan; commands, paths and secrets are looked up by each agent in its own copy ([ADR 1](adr/0001-names-travel.md)). A name after which `.NAME` stands is yours to choose.',
    '',
    'A key that is not listed here is an error. What has no default and is not marked as required may be left out.',
    '',
    ...table(
      ['Kind of value', 'Written as'],
      kinds.map(({ name, written }) => [name, written]),
    ),
    '## At the top',
    '',
    ...rows(schema, '', (key) => !sections.includes(key)),
    ...sections.flatMap((key) => [
      `## ${key}`,
      '',
      ...(schema.required?.includes(key) ? ['Required.', ''] : []),
      ...rows({ properties: { [key]: schema.properties![key]! }, required: schema.required ?? [] }, ''),
    ]),
  ]
    .join('\n')
    .trimEnd()
    .concat('\n');
}

/** As much of JSON Schema as zod writes for the plan. */
interface Node {
  type?: string | string[];
  description?: string;
  default?: unknown;
  const?: unknown;
  enum?: unknown[];
  pattern?: string;
  minimum?: number;
  maximum?: number;
  properties?: Record<string, Node>;
  required?: string[];
  items?: Node;
  anyOf?: Node[];
  additionalProperties?: Node | boolean;
}

/** Recognised by their patterns: the schema has no names for them. */
const kinds = [
  { name: 'name', written: 'letters, digits, `-` and `_`; it begins with a letter', begins: '^[A-Za-z][A-Za-z0-9_-]' },
  { name: 'duration', written: '`30s`, `15m`, `4h`, `90d`, `2w`', begins: '^\\d+(\\.\\d+)?(s|m|h|d|w)$' },
  { name: 'percentage', written: '`1%`, `0.5%`', begins: '^(100|' },
  {
    name: 'cron',
    written: '`0 2 * * *`: minute, hour, day, month, weekday, in the timezone of the plan',
    begins: '^\\S+( \\S+){4}$',
  },
  {
    name: 'secret',
    written: '`env:NAME` (a variable of the process on the host that needs it) or `file:PATH`; never the secret itself',
    begins: '^(env:',
  },
  { name: 'path', written: 'absolute, without `.` and `..`', begins: '^(\\/+' },
];

const isMap = (node: Node): node is Node & { additionalProperties: Node } =>
  typeof node.additionalProperties === 'object';
const isSection = (node: Node): boolean =>
  node.properties !== undefined || isMap(node) || (node.items?.properties ?? undefined) !== undefined;

function rows(node: Node, prefix: string, wanted: (key: string) => boolean = () => true): string[] {
  const lines: string[][] = [];
  collect(node, prefix, lines, wanted);
  return table(['Key', 'Value', 'What it means', 'Default'], lines);
}

function collect(node: Node, prefix: string, lines: string[][], wanted: (key: string) => boolean = () => true): void {
  for (const [key, child] of Object.entries(node.properties ?? {}).filter(([name]) => wanted(name))) {
    const path = `${prefix}${key}`;
    const inner = inside(child);
    const required = node.required?.includes(key) === true && child.default === undefined;
    if (!inner || child.description || child.anyOf)
      lines.push([code(path), valueOf(child), child.description ?? '', defaultOf(child, required)]);
    if (inner) collect(inner.node, `${path}${inner.suffix}.`, lines);
    for (const choice of child.anyOf ?? []) collect(choice, `${path}.`, lines);
  }
}

/** What is below a key: its own keys, those of each entry of a map, or those of each item of a list. */
function inside(node: Node): { node: Node; suffix: string } | undefined {
  if (node.properties) return { node, suffix: '' };
  if (isMap(node) && node.additionalProperties.properties) return { node: node.additionalProperties, suffix: '.NAME' };
  return node.items?.properties ? { node: node.items, suffix: '[]' } : undefined;
}

function valueOf(node: Node): string {
  if (node.const !== undefined) return code(show(node.const));
  if (node.enum) return node.enum.map((each) => code(show(each))).join(' or ');
  const kind = kinds.find(({ begins }) => node.pattern?.startsWith(begins));
  if (kind) return kind.name;
  if (node.anyOf) {
    const values = [...new Set(node.anyOf.map(valueOf))];
    return values.join(', or ');
  }
  if (node.items) return node.items.properties ? 'a list' : `a list of ${plural(valueOf(node.items))}`;
  if (isMap(node)) return `${plural(valueOf(node.additionalProperties))} by name`;
  if (node.properties) return Object.keys(node.properties).map(code).join(', ');
  if (node.type === 'integer')
    return node.minimum !== undefined && node.maximum !== undefined
      ? `${node.minimum} to ${node.maximum}`
      : 'a whole number';
  const words: Record<string, string> = { string: 'text', number: 'a number', boolean: 'true or false' };
  return [node.type ?? []]
    .flat()
    .map((type) => words[type] ?? type)
    .join(', or ');
}

const plural = (kind: string): string => ({ name: 'names', path: 'paths', text: 'texts' })[kind] ?? kind;

function defaultOf(node: Node, required: boolean): string {
  if (required) return '**required**';
  if (node.default === undefined || JSON.stringify(node.default) === '[]' || JSON.stringify(node.default) === '{}')
    return '';
  return code(show(node.default));
}

const show = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));
