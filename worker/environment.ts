/**
 * What a shell had set for its own programs does not reach what we do: the driver reads PGSSLMODE, PGOPTIONS and the
 * like, and what is made under another umask, the owner of the data cannot read. What the plan itself refers to
 * (`env:PGPASSWORD`) stays.
 */
export function settleEnvironment(plan: unknown): void {
  const named = new Set(references(plan));
  for (const name of Object.keys(process.env)) if (name.startsWith('PG') && !named.has(name)) delete process.env[name];
  process.umask(0o022);
}

function references(value: unknown): string[] {
  if (typeof value === 'string') return value.startsWith('env:') ? [value.slice('env:'.length)] : [];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(references) : [];
}
