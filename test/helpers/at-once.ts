/** Does all of it, so much at a time; gives what came of each, in the order in which they ended. */
export async function atOnce<T>(work: (() => Promise<T>)[], lanes: number): Promise<T[]> {
  const left = [...work];
  const done: T[] = [];
  const lane = async (): Promise<void> => {
    for (let next = left.shift(); next; next = left.shift()) done.push(await next());
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  return done;
}
