/** Stretches of time, in milliseconds since 1970. */
export interface Span {
  from: number;
  to: number;
}

export const length = (spans: Span[]): number => union(spans).reduce((sum, { from, to }) => sum + to - from, 0);

/** The same time, sorted and without overlaps. */
export function union(spans: Span[]): Span[] {
  const whole: Span[] = [];
  for (const span of spans.filter(({ from, to }) => to > from).sort((a, b) => a.from - b.from)) {
    const last = whole.at(-1);
    if (last && span.from <= last.to) last.to = Math.max(last.to, span.to);
    else whole.push({ ...span });
  }
  return whole;
}

/** What of these is in none of those. */
export function without(spans: Span[], those: Span[]): Span[] {
  return union(those).reduce(
    (left, cut) =>
      left
        .flatMap(({ from, to }) => [
          { from, to: Math.min(to, cut.from) },
          { from: Math.max(from, cut.to), to },
        ])
        .filter(({ from, to }) => to > from),
    union(spans),
  );
}

export function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  if (sorted.length === 0) throw new Error('the median of nothing');
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
