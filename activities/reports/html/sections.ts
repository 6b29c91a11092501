import { formatBytes } from '../../../vocabulary/units.js';
import { type IncidentState, type StepRecord, titleOf } from '../../../vocabulary/incident.js';
import { componentVerdicts, formatStep, isOpen, kept, lossTitle, stepSeconds, type Verdict, who } from '../facts.js';
import type { ReportOptions } from '../options.js';
import { formatCount } from '../text.js';
import { formatClock, formatMoment } from '../times.js';
import { html, type Markup } from './escape.js';

/** The parts of the page that are words and tables. One that has nothing to say is left out. */

/** Each component against its own objectives. */
export function components(state: IncidentState, now: Date): Markup | undefined {
  const all = componentVerdicts(state, now);
  if (all.length === 0) return undefined;
  const said = (one: Verdict | undefined) =>
    one === undefined
      ? 'holds no data of its own'
      : html`${one.met === null ? undefined : one.met ? html`<span class="good">✔ </span>` : html`<strong class="bad">✖ </strong>`}${one.says}`;
  return html`<h2>Components</h2>
    <table class="stack">
      <thead>
        <tr>
          <th scope="col">Component</th>
          <th scope="col">Recovery time</th>
          <th scope="col">Data lost, in time</th>
        </tr>
      </thead>
      <tbody>
        ${all.map(
          ({ name, kind, rto, rpo }) =>
            html`<tr>
              <th scope="row">${kind} ${name}</th>
              <td class="text">${said(rto)}</td>
              <td class="text">${said(rpo)}</td>
            </tr>`,
        )}
      </tbody>
    </table>`;
}

export function lost(state: IncidentState): Markup {
  const nothing = isOpen(state.phase) ? 'Not known yet.' : 'No loss was recorded.';
  return html`<h2>${lossTitle(state.mode)}</h2>
    ${
      state.lost.length > 0
        ? html`<ul class="plain">
            ${state.lost.map((line) => html`<li class="text">${line}</li>`)}
          </ul>`
        : html`<p>${nothing}</p>`
    }`;
}

export function warnings(state: IncidentState): Markup | undefined {
  if (state.warnings.length === 0) return undefined;
  return html`<h2>Warnings</h2>
    ${state.warnings.map((line) => html`<p class="warning text"><span aria-hidden="true">⚠ </span>${line}</p>`)}`;
}

export function rows(state: IncidentState): Markup | undefined {
  if (state.rows.length === 0) return undefined;
  return html`<h2>Row counts</h2>
    <table>
      <thead>
        <tr>
          <th scope="col">Table</th>
          <th scope="col" class="num">Expected</th>
          <th scope="col" class="num">Found</th>
          <th scope="col">OK</th>
        </tr>
      </thead>
      <tbody>
        ${state.rows.map(
          (row) =>
            html`<tr>
              <th scope="row"><code>${row.table}</code></th>
              <td class="num">${figure(row.expected)}</td>
              <td class="num">${figure(row.found)}</td>
              <td>${row.ok ? html`<span class="good">✔ yes</span>` : html`<strong class="bad">✖ no</strong>`}</td>
            </tr>`,
        )}
      </tbody>
    </table>`;
}

export function quarantine(state: IncidentState): Markup | undefined {
  if (state.quarantine.length === 0) return undefined;
  return html`<h2>Quarantine</h2>
    <table class="stack">
      <thead>
        <tr>
          <th scope="col">What</th>
          <th scope="col">Host</th>
          <th scope="col">Path</th>
          <th scope="col" class="num">Size</th>
        </tr>
      </thead>
      <tbody>
        ${state.quarantine.map(
          (one) =>
            html`<tr>
              <th scope="row">${one.what}</th>
              <td data-label="Host">${one.host}</td>
              <td data-label="Path"><code>${one.path}</code></td>
              <td class="num" data-label="Size">${formatBytes(one.bytes)}</td>
            </tr>`,
        )}
      </tbody>
    </table>
    <p>${kept}</p>`;
}

export function steps(state: IncidentState, options: ReportOptions): Markup | undefined {
  if (state.steps.length === 0) return undefined;
  const zone = otherZone(options);
  const head: (string | Markup)[] = [
    'Step',
    'Status',
    zone ? html`Started, UTC<br /><span class="quiet">${zone}</span>` : 'Started, UTC',
    'Took',
    'Attempts',
    'Who, where',
  ];
  return html`<h2>Steps</h2>
    <table class="stack steps">
      <thead>
        <tr>
          ${head.map((one, at) => html`<th scope="col" class="${at > 1 && at < 5 ? 'num' : ''}">${one}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${state.steps.map((step) => stepRow(step, state, options))}
      </tbody>
    </table>
    ${state.ahead.length > 0 && html`<p class="quiet"><br />Not reached: ${state.ahead.join(' · ')}</p>`}`;
}

const signs: Record<StepRecord['status'], string> = {
  done: '✔',
  failed: '✖',
  running: '▶',
  skipped: '↷',
  'by hand': '✋',
};

function stepRow(step: StepRecord, state: IncidentState, { now, timezone }: ReportOptions): Markup {
  const took = stepSeconds(step, now);
  const { problem, decision } = step;
  const zone = otherZone({ timezone });
  return html`<tr>
    <th scope="row">
      ${titleOf(step)} ${step.summary && html`<div class="quiet text">${step.summary}</div>`}
      ${
        problem &&
        html`<div class="problem quiet">
          <p class="text">
            <strong class="bad">Problem${problem.type && ` (${problem.type})`}:</strong> ${problem.message}
          </p>
          ${problem.hint && html`<p class="text">Hint: ${problem.hint}</p>`}
        </div>`
      }
      ${decision && html`<div class="quiet text">Decision: ${decision.by} chose <strong>${decision.choice}</strong>, ${formatMoment(decision.at, timezone)}${decision.reason && html`: “${decision.reason}”`}</div>`}
      ${
        step.details &&
        step.details.length > 0 &&
        html`<ul class="step-more">
          ${step.details.map((line) => html`<li class="text">${line}</li>`)}
        </ul>`
      }
    </th>
    <td data-label="Status">
      <span class="${step.status === 'failed' ? 'bad' : ''}"
        ><span aria-hidden="true">${signs[step.status]} </span>${step.status}</span
      >${step.rehearsed && html` <em class="tag rehearsed">rehearsed</em>`}
    </td>
    <td class="num" data-label="Started, UTC">
      ${formatClock(step.startedAt, state.declaredAt)}${
        zone &&
        html`<br />
          <span class="quiet local" title="${zone}">${formatClock(step.startedAt, state.declaredAt, zone)}</span>`
      }
    </td>
    <td class="num" data-label="Took">${took === undefined ? '' : formatStep(took)}</td>
    <td class="num" data-label="Attempts">${step.attempts}</td>
    <td data-label="Who, where">${who(step)}${step.host && ` on ${step.host}`}</td>
  </tr>`;
}

export function evidence(state: IncidentState): Markup | undefined {
  if (state.evidence.length === 0) return undefined;
  return html`<h2>Evidence</h2>
    <table class="stack">
      <thead>
        <tr>
          <th scope="col">File</th>
          <th scope="col" class="num">Size</th>
          <th scope="col">SHA-256</th>
        </tr>
      </thead>
      <tbody>
        ${state.evidence.map(
          (one) =>
            html`<tr>
              <th scope="row"><code>${one.file}</code></th>
              <td class="num" data-label="Size">${formatBytes(one.bytes)}</td>
              <td data-label="SHA-256"><code>${one.sha256}</code></td>
            </tr>`,
        )}
      </tbody>
    </table>`;
}

export function notes(state: IncidentState, { timezone }: ReportOptions): Markup | undefined {
  if (state.notes.length === 0) return undefined;
  return html`<h2>Notes</h2>
    <ul class="plain">
      ${state.notes.map((note) => html`<li><span class="quiet">${formatMoment(note.at, timezone)},</span> <strong>${note.by}</strong>: <span class="text">${note.text}</span></li>`)}
    </ul>`;
}

export function tasks(state: IncidentState, { timezone }: ReportOptions): Markup | undefined {
  if (state.tasks.length === 0) return undefined;
  const open = state.tasks.filter((task) => !task.doneAt).length;
  return html`<h2>Post-recovery tasks <span class="quiet">${open} open of ${state.tasks.length}</span></h2>
    <ul class="tasks">
      ${state.tasks.map(
        (task) =>
          html`<li>
            <strong>${task.doneAt ? '☑ done' : '☐ open'}</strong> &nbsp;${task.text}
            <code class="quiet">${task.name}</code
            >${task.doneAt && html`<span class="quiet">, ${formatMoment(task.doneAt, timezone)}${task.by && ` by ${task.by}`}</span>`}
          </li>`,
      )}
    </ul>`;
}

const otherZone = ({ timezone }: { timezone?: string | undefined }): string | undefined =>
  timezone === 'UTC' ? undefined : timezone;
const figure = (n: number | null): string => (n === null ? 'not known' : formatCount(n));
