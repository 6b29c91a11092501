import { formatDuration } from '../../../vocabulary/units.js';
import type { Verdict } from '../facts.js';
import { capital } from '../text.js';
import { html, type Markup } from './escape.js';

/** RTO or RPO against its objective. The word and the sign say it; the colour only repeats it. */
export function verdictCard(one: Verdict): Markup {
  const result = one.met === null ? 'unknown' : one.met ? 'met' : 'missed';
  return html`<section class="card ${result}">
    <h3>${one.objective} <span class="quiet">${one.title}</span></h3>
    <p class="figure">${one.seconds === null ? 'Not measured' : formatDuration(one.seconds)}</p>
    <p class="verdict">
      <strong>${verdictText(one)}</strong>
      <span class="quiet"
        ><svg class="key" width="6" height="14" aria-hidden="true">
          <line class="objective" x1="3" x2="3" y1="0" y2="14" />
        </svg>
        Objective ${formatDuration(one.objectiveSeconds)}</span
      >
    </p>
    ${bar(one)} ${one.note && html`<p class="quiet note">${capital(one.note)}</p>`}
  </section>`;
}

function verdictText({ met, seconds, objectiveSeconds }: Verdict): string {
  if (met === null) return '? No verdict';
  if (met) return '✔ Met';
  return seconds === null ? '✖ Already missed' : `✖ Missed by ${formatDuration(seconds - objectiveSeconds)}`;
}

function bar({ objective, seconds, objectiveSeconds, says }: Verdict): Markup {
  const scale = Math.max(objectiveSeconds, seconds ?? 0) * 1.12 || 1;
  const at = (value: number): string => `${((value / scale) * 100).toFixed(3)}%`;
  return html`<svg class="bar" width="100%" height="26" role="img" aria-label="${objective}: ${says}">
    <title>${objective}: ${says}</title>
    <rect class="track" x="0" y="6" width="100%" height="14" rx="3" />
    ${seconds !== null && html`<rect class="value" x="0" y="6" width="${at(seconds)}" height="14" rx="3" />`}
    <line class="objective" x1="${at(objectiveSeconds)}" x2="${at(objectiveSeconds)}" y1="1" y2="25" />
  </svg>`;
}
