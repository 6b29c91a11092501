import { formatBytes } from '../../vocabulary/units.js';
import { type IncidentState, type StepRecord, titleOf } from '../../vocabulary/incident.js';
import {
  componentVerdicts,
  formatStep,
  isOpen,
  kept,
  lossTitle,
  opening,
  phaseText,
  rehearsal,
  stepSeconds,
  verdicts,
  who,
} from './facts.js';
import type { ReportOptions } from './options.js';
import { formatCount, oneLine } from './text.js';
import { formatClock, formatMoment } from './times.js';

/** The report as GitHub-flavoured Markdown, which reads well as plain text too. */
export function renderMarkdown(state: IncidentState, options: ReportOptions): string {
  const rehearsed = rehearsal(state.mode);
  const moment = (iso: string): string => formatMoment(iso, options.timezone);
  const blocks: (string | undefined)[] = [
    rehearsed && `> # ⚠ ${rehearsed.word} ⚠\n>\n> **${rehearsed.means}**`,
    `# ${rehearsed ? `${rehearsed.word}: ` : ''}${text(state.scenario)} of ${text(state.system)}`,
    opening(state, options).map(text).join(' '),
    table(
      ['', ''],
      [
        ['Incident', code(state.id)],
        ['Outcome', phaseText[state.phase]],
        ...verdicts(state, options.now).map((one) => [
          `${one.objective}, ${one.title.toLowerCase()}`,
          `${mark(one.met)}${text(one.says)}`,
        ]),
        ['Declared', `${moment(state.declaredAt)} by ${text(state.declaredBy)}`],
        ['Ended', state.endedAt ? moment(state.endedAt) : 'not yet'],
        ['Target', code(state.target)],
        [
          'Backup used',
          state.backup
            ? `${code(state.backup.label)} from ${text(state.backup.location)}, taken ${moment(state.backup.takenAt)}`
            : 'none',
        ],
        ['Plan digest', code(state.planDigest)],
        ...(options.temporalUi ? [['Temporal UI', code(options.temporalUi)]] : []),
      ],
    ),
    ...section('Components', componentVerdicts(state, options.now), (components) =>
      table(
        ['Component', 'Recovery time', 'Data lost, in time'],
        components.map(({ name, kind, rto, rpo }) => [
          `${kind} ${text(name)}`,
          `${mark(rto.met)}${text(rto.says)}`,
          rpo ? `${mark(rpo.met)}${text(rpo.says)}` : 'holds no data of its own',
        ]),
      ),
    ),
    `## ${lossTitle(state.mode)}`,
    state.lost.length > 0 ? list(state.lost) : isOpen(state.phase) ? 'Not known yet.' : 'No loss was recorded.',
    ...section('Warnings', state.warnings, list),
    ...section('Row counts', state.rows, (rows) =>
      table(
        ['Table', 'Expected', 'Found', 'OK'],
        rows.map((row) => [code(row.table), figure(row.expected), figure(row.found), row.ok ? '✔ yes' : '✖ **no**']),
        'lrrl',
      ),
    ),
    ...section(
      'Quarantine',
      state.quarantine,
      (all) =>
        `${table(
          ['Host', 'Path', 'Size', 'What'],
          all.map((one) => [text(one.host), code(one.path), formatBytes(one.bytes), text(one.what)]),
          'llrl',
        )}\n\n${kept}`,
    ),
    '## Timeline',
    `Times are UTC${options.timezone && options.timezone !== 'UTC' ? `; the plan's timezone is ${options.timezone}` : ''}.`,
    table(
      ['Step', 'Status', 'Started', 'Took', 'Attempts', 'Who', 'Host', 'What was found or done'],
      state.steps.map((step) => row(step, state, options.now)),
      'llrrrlll',
    ),
    state.steps
      .filter(hasMore)
      .map((step) => more(step, moment))
      .join('\n\n') || undefined,
    state.ahead.length > 0 ? `Not reached: ${state.ahead.map(text).join(' · ')}` : undefined,
    ...section('Evidence', state.evidence, (all) =>
      table(
        ['File', 'Size', 'SHA-256'],
        all.map((one) => [code(one.file), formatBytes(one.bytes), code(one.sha256)]),
        'lrl',
      ),
    ),
    ...section('Notes', state.notes, (notes) =>
      notes.map((note) => `- ${moment(note.at)}, **${text(note.by)}**: ${text(note.text)}`).join('\n'),
    ),
    ...section('Post-recovery tasks', state.tasks, (tasks) =>
      tasks
        .map(
          (task) =>
            `- [${task.doneAt ? 'x' : ' '}] ${text(task.text)} (${code(task.name)})${task.doneAt ? `: done ${moment(task.doneAt)}${task.by ? ` by ${text(task.by)}` : ''}` : ': open'}`,
        )
        .join('\n'),
    ),
    `---\n\nWritten by Lifeboat on ${moment(options.now.toISOString())}.${rehearsed ? ` **${rehearsed.word}.**` : ''}`,
  ];
  return `${blocks.filter((block) => block !== undefined && block !== '').join('\n\n')}\n`;
}

function row(step: StepRecord, state: IncidentState, now: Date): string[] {
  const seconds = stepSeconds(step, now);
  return [
    text(titleOf(step)),
    `${step.status === 'failed' ? '✖ **failed**' : step.status}${step.rehearsed ? ', **rehearsed**' : ''}`,
    formatClock(step.startedAt, state.declaredAt),
    seconds === undefined ? '' : formatStep(seconds),
    formatCount(step.attempts),
    text(who(step)),
    text(step.host ?? ''),
    text(step.summary ?? ''),
  ];
}

const hasMore = (step: StepRecord): boolean => Boolean(step.details?.length || step.problem || step.decision);

function more(step: StepRecord, moment: (iso: string) => string): string {
  const { problem, decision } = step;
  return [
    `### ${text(titleOf(step))}`,
    [
      ...(problem ? [`- **Problem${problem.type ? ` (${text(problem.type)})` : ''}:** ${text(problem.message)}`] : []),
      ...(problem?.hint ? [`- **Hint:** ${text(problem.hint)}`] : []),
      ...(decision
        ? [
            `- **Decision:** ${text(decision.by)} chose ${text(decision.choice)}, ${moment(decision.at)}${decision.reason ? `: ${text(decision.reason)}` : ''}`,
          ]
        : []),
      ...(step.details ?? []).map((line) => `- ${text(line)}`),
    ].join('\n'),
  ].join('\n\n');
}

const mark = (met: boolean | null): string => (met === null ? '' : met ? '✔ ' : '✖ ');
const figure = (n: number | null): string => (n === null ? 'not known' : formatCount(n));
const list = (lines: string[]): string => lines.map((line) => `- ${text(line)}`).join('\n');

function section<T>(title: string, items: T[], render: (items: T[]) => string): string[] {
  return items.length === 0 ? [] : [`## ${title}`, render(items)];
}

function table(head: string[], rows: string[][], align = 'l'.repeat(head.length)): string {
  const line = (cells: string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(Array.from(align, (side) => (side === 'r' ? '---:' : '---'))), ...rows.map(line)].join('\n');
}

/** Somebody else's words as words: they make no markup, no link, no table cell and no line of their own. */
function text(words: string): string {
  return oneLine(words)
    .replace(/[\\`*[\]<>|~]/g, '\\$&')
    .replace(/&(?=[#\w]+;)/g, '&amp;')
    .replace(/(?<!\w)_|_(?!\w)/g, '\\_')
    .replace(/^(#|[-+](?= ))/, '\\$1')
    .replace(/^(\d+)([.)] )/, '$1\\$2');
}

/** Names, paths and digests. A fence longer than any run of backticks inside keeps them in. */
function code(words: string): string {
  const inside = oneLine(words).replace(/\|/g, '\\|');
  const fence = '`'.repeat(1 + Math.max(0, ...[...inside.matchAll(/`+/g)].map((run) => run[0].length)));
  return inside.includes('`') ? `${fence} ${inside} ${fence}` : `${fence}${inside}${fence}`;
}
