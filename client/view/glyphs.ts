import type { StepStatus } from '../../vocabulary/incident.js';

/** The signs of the view, and what stands for them on a terminal that has only ASCII. */
export interface Glyphs {
  steps: Record<StepStatus | 'ahead' | 'waiting', string>;
  full: string;
  empty: string;
  ellipsis: string;
  dot: string;
  line: string;
  warning: string;
}

export const unicode: Glyphs = {
  steps: { done: '✔', failed: '✖', running: '▶', skipped: '↷', 'by hand': '✋', ahead: '·', waiting: '?' },
  full: '▓',
  empty: '░',
  ellipsis: '…',
  dot: '·',
  line: '─',
  warning: '⚠',
};

export const ascii: Glyphs = {
  steps: { done: '+', failed: 'x', running: '>', skipped: '-', 'by hand': 'h', ahead: '.', waiting: '?' },
  full: '#',
  empty: '-',
  ellipsis: '...',
  dot: '-',
  line: '-',
  warning: '!',
};

export function bar(fraction: number, width: number, { full, empty }: Glyphs): string {
  const filled = Math.min(width, Math.max(0, Math.round(fraction * width)));
  return full.repeat(filled) + empty.repeat(width - filled);
}

/** `0:42`, `12:40`, `1:02:03`: a clock that runs. */
export function clock(seconds: number): string {
  const s = Math.max(0, Math.floor(seconds));
  const two = (n: number): string => String(n).padStart(2, '0');
  const hours = Math.floor(s / 3600);
  return hours > 0
    ? `${hours}:${two(Math.floor((s % 3600) / 60))}:${two(s % 60)}`
    : `${Math.floor(s / 60)}:${two(s % 60)}`;
}
