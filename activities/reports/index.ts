export { renderMarkdown } from './markdown.js';
export { renderJson } from './json.js';
export { renderHtml } from './html/page.js';
