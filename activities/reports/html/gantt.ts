import { type IncidentState, type StepRecord, titleOf } from '../../../vocabulary/incident.js';
import { formatDuration } from '../../../vocabulary/units.js';
import { formatStep, stepSeconds, who } from '../facts.js';
import { segments, type Segment, type SegmentKind } from '../segments.js';
import { formatClock } from '../times.js';
import { html, type Markup } from './escape.js';

/**
 * The steps as bars on one axis of time. A name is text of the page, so a long one wraps, and it is readable on a phone
 * and on paper.
 */

const words: Record<SegmentKind, string> = {
  work: 'Lifeboat worked',
  rehearsed: 'rehearsed: proven possible, not done',
  failed: 'failed attempts',
  waiting: 'waited for a person',
  skipped: 'skipped',
  'by hand': 'done by hand',
};

export function gantt(state: IncidentState, now: Date): Markup | undefined {
  if (state.steps.length === 0) return undefined;
  const rows = state.steps.map((step) => ({ step, parts: segments(step, state, now) }));
  const axis = axisOf(
    state,
    rows.flatMap((row) => row.parts),
  );
  const kinds = (Object.keys(words) as SegmentKind[]).filter((kind) =>
    rows.some((row) => row.parts.some((part) => part.kind === kind)),
  );
  return html`${patterns}
    <ul class="legend" aria-label="What the bars mean">
      ${kinds.map((kind) => html`<li><svg width="26" height="12" aria-hidden="true">${rect(kind, '1', '24')}</svg> ${words[kind]}</li>`)}
      ${axis.marks.map(
        (one) =>
          html`<li>
            <svg width="26" height="12" aria-hidden="true">
              <line class="${one.kind}" x1="13" x2="13" y1="0" y2="12" />
            </svg>
            ${one.text}
          </li>`,
      )}
    </ul>
    <div class="gantt">
      <div class="row axis" aria-hidden="true">
        <span class="name">Since the declaration<br />Clock, UTC</span>${labels(state, axis)}<span class="took"
          >Took</span
        >
      </div>
      ${rows.map(({ step, parts }) => row(state, step, parts, axis, now))}
    </div>`;
}

interface Axis {
  from: number;
  ticks: number[];
  marks: { kind: 'mark-objective' | 'mark-recovered'; at: number; text: string }[];
  percent: (at: number) => string;
  /** Never nothing: a bar without a width is not drawn at all, nor its outline. */
  width: (part: Segment) => string;
}

const seconds = [
  1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400, 172_800, 604_800,
];

function axisOf(state: IncidentState, parts: Segment[]): Axis {
  const from = Math.min(Date.parse(state.declaredAt), ...parts.map((part) => part.from));
  const last = Math.max(from + 1000, ...parts.map((part) => part.to));
  const declared = Date.parse(state.declaredAt);
  const objective = declared + state.objectives.rtoSeconds * 1000;
  // The objective is drawn where it is near enough not to squash the steps.
  const to = objective > last && objective - from < (last - from) * 1.6 ? objective : last;
  const span = (to - from) * 1.02;
  const every = (seconds.find((one) => span / 1000 / one <= 5) ?? Math.ceil(span / 5000 / 604_800) * 604_800) * 1000;
  const ticks = Array.from({ length: Math.floor(span / every) + 1 }, (_, at) => from + at * every);
  const recovered = state.measured.rtoSeconds === null ? undefined : declared + state.measured.rtoSeconds * 1000;
  const marks: Axis['marks'] = [
    {
      kind: 'mark-objective' as const,
      at: objective,
      text: `RTO objective, ${formatDuration(state.objectives.rtoSeconds)}`,
    },
    ...(recovered === undefined
      ? []
      : [
          {
            kind: 'mark-recovered' as const,
            at: recovered,
            text: `service verified, ${formatDuration(state.measured.rtoSeconds!)}`,
          },
        ]),
  ].filter((mark) => mark.at <= from + span);
  return {
    from,
    ticks,
    marks,
    percent: (at) => `${(((at - from) / span) * 100).toFixed(3)}%`,
    width: (part) => `${Math.max(0.01, ((part.to - part.from) / span) * 100).toFixed(3)}%`,
  };
}

function labels(state: IncidentState, axis: Axis): Markup {
  return html`<svg class="track" width="100%" height="32">
    ${axis.ticks.map(
      (at, n) =>
        html`<text x="${axis.percent(at)}" y="12" class="${n === 0 ? 'first' : 'tick'}"
            >${n === 0 ? '0' : `+${shortDuration((at - axis.from) / 1000)}`}</text
          >
          <text x="${axis.percent(at)}" y="27" class="${n === 0 ? 'first' : 'tick'} clock"
            >${formatClock(new Date(at).toISOString(), state.declaredAt).slice(-8)}</text
          >`,
    )}
  </svg>`;
}

/** `5m`, `1h 30m`: without the parts that are nothing. */
const shortDuration = (value: number): string => formatDuration(value).replace(/ 0+[a-z]$/, '');

function row(state: IncidentState, step: StepRecord, parts: Segment[], axis: Axis, now: Date): Markup {
  const took = stepSeconds(step, now);
  const status = `${step.status}${step.rehearsed ? ', rehearsed' : ''}`;
  const spent =
    parts.length > 1
      ? `; ${parts.map((part) => `${words[part.kind]} ${formatStep((part.to - part.from) / 1000)}`).join(', ')}`
      : '';
  const says = `${titleOf(step)}: ${status}, started ${formatClock(step.startedAt, state.declaredAt)} UTC${took === undefined ? '' : `, took ${formatStep(took)}`}${spent}, ${step.attempts} attempt${step.attempts === 1 ? '' : 's'}, ${who(step)}${step.summary ? `. ${step.summary}` : ''}`;
  return html`<div class="row">
    <span class="name"
      >${titleOf(step)}${step.rehearsed && html` <em class="tag">rehearsed</em>`}${step.attempts > 1 && html` <em class="tag bad">${step.attempts} attempts</em>`}</span
    >
    <svg class="track" width="100%" height="22" role="img" aria-label="${says}">
      <title>${says}</title>
      <rect class="hover" x="0" y="0" width="100%" height="22" />
      ${axis.ticks.map((at) => html`<line class="grid" x1="${axis.percent(at)}" x2="${axis.percent(at)}" y1="0" y2="22" />`)}
      ${axis.marks.map((mark) => html`<line class="${mark.kind}" x1="${axis.percent(mark.at)}" x2="${axis.percent(mark.at)}" y1="0" y2="22" />`)}
      ${parts.map((part) => rect(part.kind, axis.percent(part.from), axis.width(part), 5))}</svg
    ><span class="took">${took === undefined ? '' : formatStep(took)}</span>
  </div>`;
}

/** Its outline has a width of its own: so a step of 20 ms in an hour is still seen. */
function rect(kind: SegmentKind, x: string, width: string, y = 1): Markup {
  return html`<rect
    class="part ${kind.replace(' ', '-')}"
    x="${x}"
    y="${y}"
    width="${width}"
    height="${y === 1 ? 10 : 12}"
    rx="1.5"
  />`;
}

/** Hatchings, so that the kinds differ on a black and white print too. */
const patterns = html`<svg width="0" height="0" class="defs" aria-hidden="true">
  <defs>
    <pattern id="hatch-waiting" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
      <rect width="6" height="6" class="fill-waiting" />
      <rect width="2" height="6" class="ink" />
    </pattern>
    <pattern id="hatch-failed" width="5" height="5" patternUnits="userSpaceOnUse">
      <rect width="5" height="5" class="fill-failed" />
      <path d="M0 0L5 5M5 0L0 5" class="cross" />
    </pattern>
    <pattern id="hatch-rehearsed" width="6" height="6" patternUnits="userSpaceOnUse">
      <rect width="6" height="6" class="fill-rehearsed" />
      <circle cx="3" cy="3" r="1.2" class="dot" />
    </pattern>
  </defs>
</svg>`;
