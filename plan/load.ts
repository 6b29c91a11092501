import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { planDigest } from './digest.js';
import { validate, type Finding } from './explain.js';
import { PlanError, type PlanProblem } from './problems.js';
import { checkReferences } from './references.js';
import type { Plan } from './schema.js';
import { showPath } from './show.js';
import { readYaml, type YamlFile } from './yaml.js';

export { formatProblems, PlanError, type PlanProblem } from './problems.js';

export interface LoadedPlan {
  plan: Plan;
  /** The absolute path of the file. */
  path: string;
  /** The directory of the file: `file:` references are relative to it. */
  directory: string;
  /** See `planDigest`. */
  digest: string;
  /** The file as it is written. */
  text: string;
}

/**
 * Reads and checks a plan file. Throws {@link PlanError} with all of its problems, also when the file is missing or
 * cannot be read.
 */
export async function loadPlan(path: string): Promise<LoadedPlan> {
  const text = await readText(path);
  const plan = parsePlan(text, path);
  const absolute = resolve(path);
  return { plan, path: absolute, directory: dirname(absolute), digest: planDigest(plan), text };
}

/** Checks the text of a plan. `file`: its name in problems. Throws {@link PlanError}. Pure. */
export function parsePlan(text: string, file: string): Plan {
  const yaml = readYaml(text);
  if (yaml.problems.length === 0 && (yaml.data === null || yaml.data === undefined)) {
    throw wholeFile(file, 'the file is empty', 'type: lifeboat init --force, or copy lifeboat.example.yaml');
  }
  const result = validate(yaml.data);
  const findings = [...('findings' in result ? result.findings : []), ...checkReferences(yaml.data)];
  const problems = [
    ...yaml.problems.map(({ line, column, message, hint }) => ({ file, line, column, path: '', message, hint })),
    ...placed(findings, yaml, file),
  ];
  if (problems.length > 0 || 'findings' in result) throw new PlanError(file, problems);
  return result.plan;
}

/** Findings with their lines. Once the YAML itself is broken, only what stands before that line is sure. */
function placed(findings: Finding[], yaml: YamlFile, file: string): PlanProblem[] {
  const broken = yaml.problems.filter((problem) => problem.breaks).map((problem) => problem.line);
  const end = Math.min(...broken);
  const taken = new Set(yaml.problems.map((problem) => problem.line));
  const seen = new Set<string>();
  return findings.flatMap(({ path, at, kind, message, found, expected, hint }) => {
    const { line, column } = at === 'key' ? yaml.keyAt(path) : yaml.valueAt(path);
    const unsure = broken.length > 0 && (line >= end || kind === 'missing' || kind === 'reference');
    // The same value can be wrong in two ways; the first says it.
    const same = `${kind === 'reference' ? kind : ''} ${showPath(path)}`;
    if (unsure || seen.has(same) || (taken.has(line) && kind !== 'missing')) return [];
    seen.add(same);
    return [{ file, line, column, path: showPath(path), message, found, expected, hint }];
  });
}

async function readText(path: string): Promise<string> {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(await readFile(path));
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT')
      throw wholeFile(
        path,
        'there is no such file',
        'name the plan with --plan FILE, or write a first one with: lifeboat init',
      );
    if (code === 'EACCES' || code === 'EPERM')
      throw wholeFile(path, 'the file cannot be read: permission denied', 'give your user the right to read it');
    if (code === 'EISDIR')
      throw wholeFile(path, 'this is a directory, and the plan is a file', 'name the file in it with --plan FILE');
    if (code === 'ERR_ENCODING_INVALID_ENCODED_DATA')
      throw wholeFile(path, 'the file is not UTF-8 text', 'save it as UTF-8');
    throw wholeFile(path, `the file cannot be read (${code ?? 'unknown error'})`, 'look at the file and its disk');
  }
}

const wholeFile = (file: string, message: string, hint: string): PlanError =>
  new PlanError(file, [{ file, line: 1, column: 1, path: '', message, hint }]);
