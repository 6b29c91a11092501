/** What is wrong with a plan file, and how it is told. Pure. */

export interface PlanProblem {
  /** The plan file, as it was named by who asked. */
  file: string;
  /** Both count from 1. */
  line: number;
  column: number;
  /** `databases.main.postgres.port`, `drills[0].schedule`; empty for the file as a whole. */
  path: string;
  /** What is wrong. Never holds a secret. */
  message: string;
  /** The value that is there, as text; `(hidden)` when it may be a secret. */
  found?: string | undefined;
  /** What would be right, as a noun: "a duration such as 30s". */
  expected?: string | undefined;
  /** What to do about it. */
  hint?: string | undefined;
}

/** Every problem of a plan file at once, in the order of the lines. */
export class PlanError extends Error {
  readonly problems: PlanProblem[];

  constructor(
    readonly file: string,
    problems: PlanProblem[],
  ) {
    const sorted = [...problems].sort((a, b) => a.line - b.line || a.column - b.column || a.path.localeCompare(b.path));
    super(
      `${file} has ${count(sorted.length)}: ${sorted.map((problem) => `line ${problem.line}: ${problem.message}`).join('; ')}`,
    );
    this.name = 'PlanError';
    this.problems = sorted;
  }
}

/** Takes the error; gives two or three lines for each problem, and a last line that says what to type next. */
export function formatProblems(error: PlanError): string {
  const blocks = error.problems.map((problem) => {
    const lines = [
      `${problem.file}:${problem.line}:${problem.column}  ${problem.path ? `${problem.path}: ` : ''}${problem.message}`,
    ];
    if (problem.expected) lines.push(`  expected ${problem.expected}`);
    if (problem.hint) lines.push(`  ${problem.hint}`);
    return lines.join('\n');
  });
  const them = error.problems.length === 1 ? 'it' : 'them';
  return `${blocks.join('\n')}\n\n${error.file} has ${count(error.problems.length)}. Fix ${them}, then type: lifeboat check\n`;
}

const count = (problems: number): string => `${problems} ${problems === 1 ? 'problem' : 'problems'}`;
