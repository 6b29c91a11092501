import { formatDuration } from '../vocabulary/units.js';
import { type IncidentState, type StepRecord, titleOf } from '../vocabulary/incident.js';

/** The incident as Temporal's own UI shows it: Markdown, one line for each step, the question on top. */
export function describe(state: IncidentState): string {
  const lines = [
    `**${state.id}** · ${state.scenario} of ${state.database} · ${state.mode === 'real' ? '' : `**${state.mode.toUpperCase()}** · `}${state.phase}`,
  ];
  lines.push(
    `Declared by ${state.declaredBy} at ${state.declaredAt}; RTO objective ${formatDuration(state.objectives.rtoSeconds)}, RPO objective ${formatDuration(state.objectives.rpoSeconds)}`,
  );
  for (const { kind, id, lane, text, facts, choices, problem } of state.questions) {
    lines.push('', `### Waiting for a person${lane === undefined ? '' : ` (${lane})`}: ${text}`);
    if (problem) lines.push(`${problem.message}${problem.hint ? ` — ${problem.hint}` : ''}`);
    lines.push(
      ...facts.map((fact) => `- ${fact}`),
      `Answer with \`lifeboat ${kind === 'approval' ? 'approve' : 'decide CHOICE'} --question ${id}\`: ${choices.map(({ name }) => name).join(', ')}`,
    );
  }
  if (state.ending) lines.push('', state.ending);
  lines.push('', ...state.steps.map(line), ...state.ahead.map((name) => `- · ${name}`));
  if (state.warnings.length > 0) lines.push('', ...state.warnings.map((warning) => `- ⚠ ${warning}`));
  return lines.join('\n');
}

const ticks: Record<StepRecord['status'], string> = {
  running: '▶',
  done: '✔',
  failed: '✖',
  skipped: '↷',
  'by hand': '✋',
};

function line(step: StepRecord): string {
  const took = step.endedAt
    ? ` (${formatDuration((Date.parse(step.endedAt) - Date.parse(step.startedAt)) / 1000)})`
    : '';
  const says = step.problem?.message ?? step.summary ?? '';
  return `- ${ticks[step.status]} **${titleOf(step)}**${took}${says ? `: ${says}` : ''}`;
}
