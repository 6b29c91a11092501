import type { IncidentState, Phase } from '../../../vocabulary/incident.js';
import { opening, phaseText, rehearsal, verdicts } from '../facts.js';
import type { ReportOptions } from '../options.js';
import { formatMoment } from '../times.js';
import { verdictCard } from './bars.js';
import { html, Markup } from './escape.js';
import { gantt } from './gantt.js';
import { components, evidence, lost, notes, quarantine, rows, steps, tasks, warnings } from './sections.js';
import { style } from './style.js';

/** The report as one page that asks for nothing from anywhere: it can be mailed, archived and printed. */
export function renderHtml(state: IncidentState, options: ReportOptions): string {
  const rehearsed = rehearsal(state.mode);
  const moment = (iso: string): string => formatMoment(iso, options.timezone);
  const chart = gantt(state, options.now);
  const page = html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width,initial-scale=1" />
        <meta
          http-equiv="Content-Security-Policy"
          content="default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
        />
        <meta name="referrer" content="no-referrer" />
        <title>${rehearsed && `${rehearsed.word}: `}${state.scenario} of ${state.system}, ${state.id}</title>
        <style>
          ${new Markup(style)}${new Markup(pageMargins(state))}
        </style>
      </head>
      <body>
        ${rehearsed && html`<div class="loud" role="note"><strong>${rehearsed.word}</strong><span>${rehearsed.means}</span></div>`}
        <main>
          <header>
            <p class="kicker">
              ${rehearsed ? `Report of a ${rehearsed.word.toLowerCase()}` : 'Incident report'} · ${state.id}
            </p>
            <h1>${state.scenario} of ${state.system}</h1>
            <p class="state ${tone[state.phase]}">${signs[state.phase]} ${phaseText[state.phase]}</p>
            <div class="opening">${opening(state, options).map((line) => html`<p>${line}</p>`)}</div>
          </header>
          <div class="cards">${verdicts(state, options.now).map(verdictCard)}</div>
          ${warnings(state)} ${components(state, options.now)} ${lost(state)}
          ${
            chart &&
            html`<h2>Timeline</h2>
              ${chart}`
          }
          <h2>The incident</h2>
          <dl class="facts">
            ${[
              ['Scenario', state.scenario],
              ['System, database', `${state.system}, ${state.database}`],
              ['Declared', `${moment(state.declaredAt)} by ${state.declaredBy}`],
              ['Ended', state.endedAt ? moment(state.endedAt) : 'not yet'],
              ['Target', state.target],
              [
                'Backup used',
                state.backup
                  ? html`<code>${state.backup.label}</code> from ${state.backup.location}, taken
                      ${moment(state.backup.takenAt)}`
                  : 'none',
              ],
              ['Plan digest', html`<code>${state.planDigest}</code>`],
              ...(options.temporalUi ? [['Temporal UI', link(options.temporalUi)]] : []),
            ].map(
              ([name, value]) =>
                html`<dt>${name}</dt>
                  <dd>${value}</dd>`,
            )}
          </dl>
          ${rows(state)} ${quarantine(state)} ${steps(state, options)} ${evidence(state)} ${notes(state, options)}
          ${tasks(state, options)}
        </main>
        <footer class="foot">
          Written by Lifeboat on ${moment(options.now.toISOString())}. Times are
          UTC${options.timezone && options.timezone !== 'UTC' && `, with the plan's timezone ${options.timezone} beside them`}.
        </footer>
      </body>
    </html> `;
  return page.text;
}

const tone: Record<Phase, string> = {
  open: '',
  waiting: 'bad',
  recovered: 'good',
  closed: 'good',
  refused: 'bad',
  aborted: 'bad',
  'rolled back': 'bad',
};
const signs: Record<Phase, string> = {
  open: '▶',
  waiting: '?',
  recovered: '✔',
  closed: '✔',
  refused: '✖',
  aborted: '✖',
  'rolled back': '↶',
};

/** An address that is not of the web is shown, and leads nowhere. */
function link(address: string): Markup {
  return /^https?:\/\//i.test(address) ? html`<a href="${address}" rel="noreferrer">${address}</a>` : html`${address}`;
}

/** What stands on every sheet of a print: the name of the incident, DRILL, and the number of the page. */
function pageMargins(state: IncidentState): string {
  const id = state.id.replace(/[^\w.-]/g, '');
  const word = rehearsal(state.mode)?.word;
  return `@page{@bottom-left{content:"${id}";font:8pt sans-serif}@bottom-right{content:"page " counter(page) " of " counter(pages);font:8pt sans-serif}${word ? `@top-center{content:"${word}";font:bold 11pt sans-serif;letter-spacing:.2em}` : ''}}`;
}
