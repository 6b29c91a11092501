import { formatDuration } from '../vocabulary/units.js';
import type { IncidentState, StepRecord } from '../vocabulary/incident.js';

/** The incident as Temporal's own UI shows it: Markdown, one line for each step, the question on top. */
export function describe(state: IncidentState): string {
  const lines = [
    `**${state.id}** · ${state.scenario} of ${state.database} · ${state.mode === 'real' ? '' : `**${state.mode.toUpperCase()}** · `}${state.phase}`,
  ];
  lines.push(
    `Declared by ${state.declaredBy} at ${state.declaredAt}; RTO objective ${formatDuration(state.objectives.rtoSeconds)}, RPO objective ${formatDuration(state.objectives.rpoSeconds)}`,
  );
  const { question } = state;
  if (question) {
    lines.push('', `### Waiting for a person: ${question.text}`);
    if (question.problem) lines.push(`${question.problem.message}${question.problem.hint ? ` — ${question.problem.hint}` : ''}`);
    lines.push(
      ...question.facts.map((fact) => `- ${fact}`),
      `Answer with \`lifeboat ${question.kind === 'approval' ? 'approve' : 'decide CHOICE'} --question ${question.id}\`: ${question.choices.map(({ name }) => name).join(', ')}`,
    );
  }
  if (state.ending) lines.push('', state.ending);
  lines.push('', ...state.steps.map(line), ...state.ahead.map((name) => `- · ${name}`));
  if (state.warnings.length > 0) lines.push('', ...state.warnings.map((warning) => `- ⚠ ${warning}`));
  return lines.join('\n');
}

const ticks: Record<StepRecord['status'], string> = { running: '▶', done: '✔', failed: '✖', skipped: '↷', 'by hand': '✋' };

function line(step: StepRecord): string {
  const took = step.endedAt ? ` (${formatDuration((Date.parse(step.endedAt) - Date.parse(step.startedAt)) / 1000)})` : '';
  const says = step.problem?.message ?? step.summary ?? '';
  return `- ${ticks[step.status]} **${step.name}**${took}${says ? `: ${says}` : ''}`;
}
