import { step } from '../step.js';

export const report = step({
  name: 'Report',
  does: 'The report is written: Markdown, JSON, and one HTML page with the timeline.',
  touches: 'nothing',
  run: (at, _: object) => at.control('change').writeReport({ state: at.state }),
  without: () => ({ summary: '', path: '' }),
});
