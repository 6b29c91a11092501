// Draws what a terminal showed as an SVG: `tmux capture-pane -e -p | node scripts/picture.mjs > docs/images/watch.svg`.
// Colours, bold and dim of ANSI escapes; no fonts of its own, and no script.
import { readFileSync } from 'node:fs';

const palette = {
  30: '#0d1117',
  31: '#ff7b72',
  32: '#7ee787',
  33: '#e3b341',
  34: '#79c0ff',
  35: '#d2a8ff',
  36: '#76e3ea',
  37: '#e6edf3',
};
const [charWidth, lineHeight, margin] = [8.43, 19, 16];

const lines = readFileSync(0, 'utf8').trimEnd().split('\n');
const state = { color: undefined, background: undefined, bold: false, dim: false };
const rows = lines.map(spans);
const width = Math.ceil(
  Math.max(...rows.map((row) => row.reduce((sum, span) => sum + span.text.length, 0))) * charWidth + 2 * margin,
);
const height = lines.length * lineHeight + 2 * margin;

process.stdout.write(
  `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">\n` +
    `<rect width="100%" height="100%" rx="8" fill="#0d1117"/>\n` +
    `<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace" font-size="14" fill="#e6edf3" xml:space="preserve">\n` +
    rows.map(draw).join('') +
    '</g>\n</svg>\n',
);

/** The pieces of a line that look alike. What is set goes on in the next line, as in a terminal. */
function spans(line) {
  return line.split(/(\x1b\[[\d;]*m)/).flatMap((part) => {
    const codes = /^\x1b\[([\d;]*)m$/.exec(part);
    if (!codes) return part ? [{ ...state, text: part }] : [];
    for (const code of (codes[1] || '0').split(';').map(Number)) set(code);
    return [];
  });
}

function set(code) {
  if (code === 0) Object.assign(state, { color: undefined, background: undefined, bold: false, dim: false });
  else if (code === 1) state.bold = true;
  else if (code === 2) state.dim = true;
  else if (code === 22) Object.assign(state, { bold: false, dim: false });
  else if (code === 39) state.color = undefined;
  else if (code === 49) state.background = undefined;
  else if (code >= 40 && code < 48) state.background = palette[code - 10];
  else if (palette[code]) state.color = palette[code];
}

function draw(row, at) {
  let column = 0;
  return row
    .map(({ text, color, background, bold, dim }) => {
      const x = (margin + column * charWidth).toFixed(1);
      const y = margin + at * lineHeight;
      column += text.length;
      const box = background
        ? `<rect x="${x}" y="${y}" width="${(text.length * charWidth).toFixed(1)}" height="${lineHeight}" fill="${background}"/>\n`
        : '';
      if (text.trim() === '') return box;
      const style = `${color ? ` fill="${color}"` : ''}${bold ? ' font-weight="bold"' : ''}${dim ? ' opacity="0.6"' : ''}`;
      const length = (text.length * charWidth).toFixed(1);
      return `${box}<text x="${x}" y="${y + 14}" textLength="${length}"${style}>${escape(text)}</text>\n`;
    })
    .join('');
}

function escape(text) {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll(' ', '\u00a0');
}
