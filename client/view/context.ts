import picocolors from 'picocolors';
import type { IncidentState, Progress } from '../../vocabulary/incident.js';
import { fit, pad, wrap } from './columns.js';
import { ascii, unicode, type Glyphs } from './glyphs.js';

export interface ViewInput {
  state: IncidentState;
  progress: Progress[];
  now: Date;
  width: number;
  color: boolean;
  /** What is typed before a subcommand: `lifeboat`, or `lifeboat --plan shop.yaml`. */
  commandPrefix: string;
  /** For terminals without Unicode. */
  ascii?: boolean;
}

/** What each part of the view draws with. */
export interface Context extends ViewInput {
  glyphs: Glyphs;
  paint: ReturnType<typeof picocolors.createColors>;
  fit: (text: string, width: number) => string;
  /** Wrapped to the width, each line behind `indent`. */
  block: (text: string, indent: string, first?: string) => string[];
  /** A line as wide as the terminal, for what must not be overlooked. */
  band: (text: string) => string;
}

export function contextOf(input: ViewInput): Context {
  const width = Math.max(40, input.width);
  const glyphs = input.ascii ? ascii : unicode;
  return {
    ...input,
    width,
    glyphs,
    paint: picocolors.createColors(input.color),
    fit: (text, room) => fit(text, room, glyphs.ellipsis),
    block: (text, indent, first = indent) =>
      wrap(text, width - indent.length - 1).map((line, at) => `${at === 0 ? first : indent}${line}`),
    band: (text) => pad(fit(text, width, glyphs.ellipsis), width),
  };
}
