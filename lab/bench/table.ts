/** One row: what was measured, what it was to be, and whether it is. */
export interface Row {
  what: string;
  measured: string;
  aim: string;
  met: boolean;
}

export function table(rows: Row[]): string {
  const lines = [
    ['', 'measured', 'aim', ''],
    ...rows.map(({ what, measured, aim, met }) => [what, measured, aim, met ? 'met' : 'MISSED']),
  ];
  const widths = [0, 1, 2, 3].map((column) => Math.max(...lines.map((line) => line[column]!.length)));
  return lines
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** What one part of the benchmark found. */
export interface Part {
  rows: Row[];
  /** Single figures, for people. */
  lines: string[];
  /** All of them, for programs. */
  figures: object;
}

export const say = (line: string): void => {
  process.stderr.write(`${line}\n`);
};
