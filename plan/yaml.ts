import {
  type Document,
  isAlias,
  isCollection,
  isMap,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  Scalar,
  visit,
  type YAMLError,
} from 'yaml';
import type { Path } from './show.js';

/** The plan file as YAML 1.2: its data, where each piece of it stands, and what is wrong with it as YAML. Pure. */

export interface Position {
  line: number;
  column: number;
}

export interface SyntaxProblem extends Position {
  message: string;
  hint: string;
  /** False when the rest of the file can be read all the same, such as after a key that stands twice. */
  breaks: boolean;
}

export interface YamlFile {
  /** Undefined when the file holds nothing, or cannot be read as far as that. */
  data: unknown;
  problems: SyntaxProblem[];
  /** Where the key of the path stands; of its parent when there is no such key. */
  keyAt(path: Path): Position;
  /** Where the value of the path stands. */
  valueAt(path: Path): Position;
}

/** Reads the text. Never throws: what cannot be read is in `problems`. */
export function readYaml(text: string): YamlFile {
  const lines = new LineCounter();
  const document = parseDocument(text, {
    version: '1.2',
    lineCounter: lines,
    prettyErrors: false,
    uniqueKeys: true,
    merge: false,
  });
  const at = (offset: number): Position => {
    const { line, col } = lines.linePos(Math.min(offset, text.length));
    return { line: Math.max(1, line), column: Math.max(1, col) };
  };
  const problems = onePerLine([
    ...strayAliases(document, at),
    ...[...document.errors, ...document.warnings]
      .filter(firstStumble())
      .map((error) => explain(error, at(startOf(document, error)))),
  ]);
  let data: unknown;
  try {
    data = document.toJS({ maxAliasCount: 100 }) as unknown;
  } catch {
    problems.push({
      ...at(0),
      breaks: true,
      message: 'the file repeats itself too often through aliases (*name)',
      hint: 'write the values out',
    });
  }
  const find = (path: Path, what: 'key' | 'value'): Position => at(offsetOf(document, path, what));
  return { data, problems, keyAt: (path) => find(path, 'key'), valueAt: (path) => find(path, 'value') };
}

/** The offset of a key or a value; as far along the path as the file goes. */
function offsetOf(document: Document.Parsed, path: Path, what: 'key' | 'value'): number {
  let node: Node | null | undefined = document.contents;
  let offset = node?.range?.[0] ?? 0;
  for (const [depth, part] of path.entries()) {
    const last = depth === path.length - 1;
    if (isAlias(node)) node = node.resolve(document);
    if (isMap(node)) {
      // The last of two equal keys is the one whose value counts.
      const pair = node.items.findLast(
        (item) =>
          isPair(item) &&
          isScalar(item.key) &&
          String((item.key.value as string | number | boolean | null) ?? '') === String(part),
      );
      if (!pair) return offset;
      const key = (pair.key as Node).range?.[0] ?? offset;
      const value = pair.value as Node | null;
      // A block of lines begins below its key, and what is empty begins nowhere: the key is the line to look at.
      const block = value === null || (isCollection(value) && !value.flow) || (isScalar(value) && value.value === null);
      offset = last && what === 'value' && !block ? (value.range?.[0] ?? key) : key;
      node = value;
    } else if (isSeq(node)) {
      const item = node.items[Number(part)] as Node | undefined;
      if (!item) return offset;
      offset = item.range?.[0] ?? offset;
      node = item;
    } else {
      return offset;
    }
  }
  return offset;
}

/** Finds the aliases that lead nowhere, and puts a text in their place, so that everything else can still be read. */
function strayAliases(document: Document.Parsed, at: (offset: number) => Position): SyntaxProblem[] {
  const found: SyntaxProblem[] = [];
  visit(document, {
    Alias(_, alias) {
      if (alias.resolve(document)) return undefined;
      // Its text is not repeated: it may well be a password that begins with a star.
      found.push({
        ...at(alias.range?.[0] ?? 0),
        breaks: false,
        message: 'a value that begins with * is a YAML alias, and nothing has that name',
        hint: quoteStar,
      });
      const stand = new Scalar('*');
      if (alias.range) stand.range = alias.range;
      return stand;
    },
    Pair(_, pair) {
      // JavaScript takes it for something else than a key, so that nothing after this would see it.
      if (isScalar(pair.key) && pair.key.value === '__proto__') {
        found.push({
          ...at(pair.key.range?.[0] ?? 0),
          breaks: false,
          message: 'unknown key "__proto__"',
          hint: 'remove it',
        });
      }
      return undefined;
    },
  });
  return found;
}

/** The parser sees that a quote was never closed when the file ends; the line to look at is where it was opened. */
function startOf(document: Document.Parsed, error: YAMLError): number {
  let start = error.pos[0];
  if (error.code === 'MISSING_CHAR') {
    visit(document, {
      Scalar(_, scalar) {
        const quoted = scalar.type === 'QUOTE_DOUBLE' || scalar.type === 'QUOTE_SINGLE';
        if (quoted && scalar.range && scalar.range[0] < start && scalar.range[2] >= error.pos[0])
          start = scalar.range[0];
      },
    });
  }
  return start;
}

/** Once the parser has lost the thread, it says so again on line after line. The first time is enough. */
function firstStumble(): (error: YAMLError) => boolean {
  let lost = false;
  return (error) => {
    const again = lost && error.message.includes('in YAML stream');
    lost ||= !isHarmless(error);
    return !again;
  };
}

/** One mistake makes the parser stumble several times on its line: the first is the one to mend. */
function onePerLine(problems: SyntaxProblem[]): SyntaxProblem[] {
  const byLine = new Map<number, SyntaxProblem>();
  for (const problem of problems) {
    const first = byLine.get(problem.line);
    if (!first) byLine.set(problem.line, problem);
    else if (first.hint !== quoteStar) first.breaks ||= problem.breaks;
  }
  return [...byLine.values()];
}

const quoteStar = 'put the value in quotes: "*/15 * * * *"';

/**
 * The words of the parser, for people; it quotes the text of the file, which may be a secret, so that its own words are
 * not passed on.
 */
function explain(error: YAMLError, position: Position): SyntaxProblem {
  const [message, hint] = texts[error.code] ?? [
    `this is not valid YAML (${error.code})`,
    'compare with the lines around it',
  ];
  return { ...position, breaks: !isHarmless(error), message, hint };
}

const isHarmless = (error: YAMLError): boolean => harmless.has(error.code) || error.message.endsWith('at node end');

/** After these, what follows is still read as its author meant it. */
const harmless = new Set<YAMLError['code']>([
  'DUPLICATE_KEY',
  'BAD_SCALAR_START',
  'TAG_RESOLVE_FAILED',
  'BAD_ALIAS',
  'ALIAS_PROPS',
  'BAD_DQ_ESCAPE',
]);

const texts: Partial<Record<YAMLError['code'], [message: string, hint: string]>> = {
  ALIAS_PROPS: ['an alias (*name) cannot have an anchor or a tag', 'remove it'],
  BAD_ALIAS: ['a value that begins with * is read as a YAML alias', quoteStar],
  BAD_COLLECTION_TYPE: ['the tag (!name) does not fit the value', 'remove the tag'],
  BAD_DIRECTIVE: [
    'a line that begins with % is a YAML directive, and this is not a known one',
    'remove it, or put the value in quotes',
  ],
  BAD_DQ_ESCAPE: ['a backslash in double quotes must begin a known escape', 'double it, or use single quotes'],
  BAD_INDENT: [
    'the line is not indented like the lines that it belongs to',
    'give it as many spaces as its neighbours have; close every bracket and quote before it',
  ],
  BAD_SCALAR_START: ['a value cannot begin with this character', 'put the value in quotes'],
  BLOCK_AS_IMPLICIT_KEY: [
    'a key cannot be nested on the line of another key',
    'begin a new line below it, indented by two spaces; a value with ": " in it needs quotes',
  ],
  BLOCK_IN_FLOW: ['lines with "- " or "|" cannot be inside of { } or [ ]', 'write [a, b], or take the braces away'],
  DUPLICATE_KEY: ['this key stands twice in the same map', 'keep one of them'],
  MISSING_CHAR: [
    'something is missing here: a closing quote or bracket, or the ":" after a key',
    'close what was opened; after a key comes ": "',
  ],
  MULTILINE_IMPLICIT_KEY: ['a key without ":", or one that goes over two lines', 'after a key comes ": "'],
  MULTIPLE_DOCS: ['the file holds a second document, after "---"', 'a plan is one document: remove the line'],
  NON_STRING_KEY: ['a key must be text', 'put it in quotes'],
  TAB_AS_INDENT: ['a tab is used to indent, which YAML does not allow', 'use spaces, two for each level'],
  TAG_RESOLVE_FAILED: [
    'a tag (!name) that nobody knows',
    'remove it; a value that begins with ! needs quotes, and a secret is written env:NAME or file:PATH',
  ],
  UNEXPECTED_TOKEN: [
    'this does not fit what stands before it',
    'inside of { } and [ ], a value with { } [ ] or a comma needs quotes; elsewhere, check the indentation',
  ],
};
