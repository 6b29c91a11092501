import { expect, it } from 'vitest';
import { orFailed } from '../../client/failed-result.js';
import { Expected } from '../../client/output.js';

it('one of several that fails says why and what to type, and the others are still worked on; alone, it is the end of the command', async () => {
  const fails = () => Promise.reject(new Expected('the host is away', 'lifeboat doctor'));
  expect(await orFailed(false, fails, (why) => why)).toBe('the host is away → lifeboat doctor');
  expect(
    await orFailed(
      false,
      () => Promise.resolve('done'),
      (why) => why,
    ),
  ).toBe('done');
  await expect(orFailed(true, fails, (why) => why)).rejects.toThrow('the host is away');
});
