/** The pieces of Markdown that the printed document is made of. Text of the plan cannot break out of them. Pure. */

/** Text of the plan as plain words in a line. */
export const plain = (text: string): string => text.replace(/\s+/g, ' ').replace(/[\\`*_[\]<>|#]/g, '\\$&');

/** Text as code in a line. */
export function code(text: string): string {
  const one = text.replace(/\s+/g, ' ');
  const fence = '`'.repeat(Math.max(0, ...[...one.matchAll(/`+/g)].map(([ticks]) => ticks.length)) + 1);
  return fence.length > 1 ? `${fence} ${one} ${fence}` : `\`${one}\``;
}

/** Cells are Markdown already. Gives nothing for a table without rows. */
export function table(head: string[], rows: string[][]): string[] {
  if (rows.length === 0) return [];
  const line = (cells: string[]): string => `| ${cells.map((cell) => cell.replace(/(?<!\\)\|/g, '\\|')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line), ''];
}

/** Commands to type, as they are. */
export const block = (...lines: string[]): string[] => ['```bash', ...lines, '```', ''];
