import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Location } from '../../activities/locations/location.js';
import { type Liar, startLiar } from '../../lab/servers/liar.js';
import { digest, makePlaces, someBytes } from '../helpers/locations.js';

/** A network that changes what goes over it: what arrives is what was sent, or it is an error. */

const places = makePlaces();
afterAll(() => places.stop());
const size = 20 * 1024 * 1024;

describe.each(['s3', 'azure'] as const)('behind a proxy that changes bytes: %s', (kind) => {
  let liar: Liar;
  let bad: Location;
  let good: Location;
  beforeAll(async () => {
    const place = await places.start(kind);
    good = await place.open();
    liar = await startLiar({ directory: join(places.directory, `liar-${kind}`), port: place.port! });
    const { endpoint } = place.plan as { endpoint: string };
    bad = await place.open({ endpoint: endpoint.replace(String(place.port), String(liar.port)), caFile: liar.caFile });
  });
  afterEach(() => liar.lie('up', 0));
  afterAll(async () => {
    await bad.close();
    await good.close();
    await liar.stop();
  });

  test('an honest one changes nothing', async () => {
    expect(await bad.put('honest', someBytes(size))).toEqual(await digest(someBytes(size)));
    expect(await digest(await bad.get('honest'))).toEqual(await digest(someBytes(size)));
  });

  test.each([
    ['in parts', size],
    ['in one piece', 1024 * 1024],
  ])(
    'what is changed on its way there is sent again; when it stays so it is an error, which leaves nothing: %s',
    async (how, bytes) => {
      const name = `changed ${how}`;
      liar.lie('up', 2);
      expect(await bad.put(`once ${name}`, someBytes(bytes))).toEqual(await digest(await good.get(`once ${name}`)));
      liar.lie('up', 100);
      const error = await bad.put(name, someBytes(bytes)).then(
        () => expect.unreachable('it was taken'),
        (thrown: unknown) => thrown,
      );
      expect(error).toMatchObject({
        type: 'LocationUnreachable',
        message: expect.stringMatching(/received other bytes than were sent/),
      });
      expect(await good.find(name)).toBeUndefined();
      await good.removeUnfinished('');
      expect(await good.removeUnfinished(''), 'leftovers').toBe(0);
      liar.lie('up', 0);
      expect(await bad.put(name, someBytes(bytes))).toEqual(await digest(await good.get(name)));
    },
  );

  // S3 gives no checksum of a range: there it is the digest in the backup's record that finds it.
  if (kind === 'azure')
    test('a block that is changed on its way here is fetched again, and is an error when it stays so', async () => {
      await good.put('there', someBytes(size));
      liar.lie('down', 2);
      expect(await digest(await bad.get('there'))).toEqual(await digest(someBytes(size)));
      liar.lie('down', 100);
      await expect(digest(await bad.get('there'))).rejects.toMatchObject({
        type: 'LocationUnreachable',
        message: expect.stringMatching(/there was changed on its way here/),
      });
      liar.lie('down', 0);
    });
});
