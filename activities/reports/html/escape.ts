import { plain } from '../text.js';

/** Markup that may stand in a page as it is. Only {@link html} makes it. */
export class Markup {
  constructor(readonly text: string) {}
}

type Value = string | number | Markup | false | null | undefined | readonly Value[];

/**
 * A template whose values are escaped, whether they stand in text or in a quoted attribute. Attributes are always
 * quoted.
 */
export function html(strings: TemplateStringsArray, ...values: Value[]): Markup {
  return new Markup(strings.map((part, at) => (at === 0 ? part : `${write(values[at - 1])}${part}`)).join(''));
}

function escapeHtml(text: string): string {
  const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
  return plain(text).replace(/[&<>"']/g, (character) => entities[character]!);
}

function write(value: Value): string {
  if (value === undefined || value === null || value === false) return '';
  if (value instanceof Markup) return value.text;
  if (typeof value === 'string' || typeof value === 'number') return escapeHtml(String(value));
  return value.map(write).join('');
}
