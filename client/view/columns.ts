/** Text in the columns of a terminal: how wide it is, cut to a width, padded, wrapped. No colour is in it yet. */

const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' });
const wide =
  /^(\p{Emoji_Presentation}|[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}])/u;

const wideness = (grapheme: string): number => (wide.test(grapheme) || grapheme.includes('\ufe0f') ? 2 : 1);

export function columns(text: string): number {
  let width = 0;
  for (const { segment } of graphemes.segment(text)) width += wideness(segment);
  return width;
}

/** At most `width` columns, the last of them `ellipsis` when something was cut. */
export function fit(text: string, width: number, ellipsis = '…'): string {
  if (columns(text) <= width) return text;
  const room = width - columns(ellipsis);
  if (room < 1) return '';
  let kept = '';
  let used = 0;
  for (const { segment } of graphemes.segment(text)) {
    if (used + wideness(segment) > room) break;
    kept += segment;
    used += wideness(segment);
  }
  return kept.trimEnd() + ellipsis;
}

export const pad = (text: string, width: number): string => text + ' '.repeat(Math.max(0, width - columns(text)));
export const padLeft = (text: string, width: number): string => ' '.repeat(Math.max(0, width - columns(text))) + text;

/**
 * Breaks at spaces; a word that is longer than a line (a path, a digest) stands on a line of its own, whole, so that it
 * can be copied.
 */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line && columns(line) + 1 + columns(word) > width) {
      lines.push(line);
      line = word;
    } else line = line ? `${line} ${word}` : word;
  }
  return [...lines, line];
}
