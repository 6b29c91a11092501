import { join } from 'node:path';
import type { IncidentState } from '../../vocabulary/incident.js';
import type { ControlContext } from '../context.js';
import { writeWhole } from '../files.js';
import { renderHtml, renderJson, renderMarkdown } from './index.js';

/** Writes the report of an incident as Markdown, JSON and HTML. Written twice, it is written once. Returns where. */
export const writeReport =
  ({ state: directory, temporalUi }: ControlContext) =>
  async ({ state }: { state: IncidentState }): Promise<{ summary: string; path: string }> => {
    const options = { now: new Date(), ...(temporalUi ? { temporalUi } : {}) };
    const path = join(directory, 'reports', state.id);
    await writeWhole(`${path}.md`, renderMarkdown(state, options));
    await writeWhole(`${path}.json`, renderJson(state));
    await writeWhole(`${path}.html`, renderHtml(state, options));
    return { summary: `${path}.html, .md and .json`, path: `${path}.html` };
  };
