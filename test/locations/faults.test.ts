import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { textOf } from '../../activities/backups/record.js';
import type { Location } from '../../activities/locations/location.js';
import { type Proxy, startToxiproxy, type Toxiproxy } from '../../lab/servers/toxiproxy.js';
import { digest, filesBelow, makePlaces, type Place, secretFor, someBytes } from '../helpers/locations.js';

/**
 * Locations that are slow, break off, hang, refuse or are full: a clear error, nothing half, and the next try works.
 */

const places = makePlaces();
let toxiproxy: Toxiproxy;
beforeAll(async () => {
  toxiproxy = await startToxiproxy({ directory: join(places.directory, 'toxiproxy'), env: places.env });
});
afterAll(() => places.stop());

const MiB = 1024 * 1024;
const size = 12 * MiB;

/** What a person needs of an error: which location, what to do, and no secret. */
async function failed(work: Promise<unknown>, type: string): Promise<{ message: string; hint: string }> {
  const error = (await work.then(
    () => expect.unreachable('it should have failed'),
    (thrown: unknown) => thrown,
  )) as Error & { type?: string; details?: [{ hint: string }] };
  expect(error, error.stack).toMatchObject({ type });
  expect(error.message).toContain('location there');
  const hint = error.details![0].hint;
  expect(hint.length).toBeGreaterThan(10);
  for (const [name, value] of Object.entries(process.env))
    if (name.startsWith('LIFEBOAT_TEST_'))
      expect(`${error.message} ${hint} ${JSON.stringify(error.details)}`).not.toContain(value);
  return { message: error.message, hint };
}

/** As the plan says it when a proxy stands before the server. */
function through(place: Place, port: number): Record<string, unknown> {
  const { endpoint } = place.plan as { endpoint?: string };
  return endpoint ? { endpoint: endpoint.replace(String(place.port), String(port)) } : { port };
}

describe.each(['s3', 'azure', 'sftp'] as const)('behind a bad network: %s', (kind) => {
  let place: Place;
  let proxy: Proxy;
  let bad: Location;
  let good: Location;
  beforeAll(async () => {
    place = await places.start(kind);
    proxy = await toxiproxy.proxy(place.port!);
    // Half of what a test waits for nothing.
    bad = await place.open(through(place, proxy.port), 1500);
    good = await place.open();
    await good.put('there/large', someBytes(size));
  });
  afterEach(() => proxy.reset());
  afterAll(async () => {
    await bad.close();
    await good.close();
  });

  const nothingLeft = async (name: string): Promise<void> => {
    expect(await good.find(name)).toBeUndefined();
    expect(await good.list(name)).toEqual([]);
    // What could not be taken back while the network was away.
    await good.removeUnfinished('');
    expect(await good.removeUnfinished(''), 'leftovers').toBe(0);
  };
  const nextTryWorks = async (name: string): Promise<void> => {
    await proxy.reset();
    expect(await bad.put(name, someBytes(size))).toEqual(await digest(someBytes(size)));
    expect(await digest(await good.get(name))).toEqual(await digest(someBytes(size)));
    await good.remove(name);
  };

  test('latency changes nothing', async () => {
    await proxy.add({ type: 'latency', attributes: { latency: 50 } });
    await bad.put('slow', someBytes(MiB));
    expect(await digest(await bad.get('slow'))).toEqual(await digest(someBytes(MiB)));
  });

  test('a line that is slow, and moves, is no stall', async () => {
    const patient = await place.open(through(place, proxy.port), 3500);
    // Slow for each of its connections: in all it takes longer than a stall may.
    await proxy.add({ type: 'bandwidth', attributes: { rate: 3000 } });
    await patient.put('narrow', someBytes(24 * MiB));
    expect(await good.find('narrow')).toMatchObject({ bytes: 24 * MiB });
    await patient.close();
  });

  test('a connection that hangs is noticed, and leaves nothing', async () => {
    await bad.put('before', Readable.from(['x']));
    await proxy.add({ type: 'timeout', attributes: { timeout: 0 } });
    await failed(bad.put('hung', someBytes(size)), 'LocationUnreachable');
    await proxy.reset();
    await nothingLeft('hung');
    await nextTryWorks('hung');
  });

  test('a service that says nothing any more while it is sent to is noticed', async () => {
    const hanging = proxy.add({ type: 'timeout', attributes: { timeout: 0 } }, 'downstream');
    await hanging;
    await failed(bad.put('silent', someBytes(size)), 'LocationUnreachable');
    await proxy.reset();
    await nothingLeft('silent');
  });

  test('an upload that is cut in its middle leaves nothing, and the next try works', async () => {
    await proxy.add({ type: 'limit_data', attributes: { bytes: 3 * MiB } });
    await failed(bad.put('cut', someBytes(size)), 'LocationUnreachable');
    await proxy.reset();
    await nothingLeft('cut');
    await nextTryWorks('cut');
  });

  test('connections that are reset are an error, and the next try works', async () => {
    await proxy.add({ type: 'reset_peer', attributes: { timeout: 100 } });
    await failed(bad.put('reset', someBytes(size)), 'LocationUnreachable');
    await failed(bad.list(''), 'LocationUnreachable');
    await proxy.reset();
    await nothingLeft('reset');
    await nextTryWorks('reset');
  });

  test('a service that is away is unreachable, and works when it is back', async () => {
    await proxy.enable(false);
    await failed(bad.find('there/large'), 'LocationUnreachable');
    await failed(bad.put('away', Readable.from(['x'])), 'LocationUnreachable');
    await proxy.enable(true);
    expect(await bad.find('there/large')).toMatchObject({ bytes: size });
  });

  test('a download that is cut is an error, and never a short file', async () => {
    // After the head of the file and before its first block is whole, each time that it is tried.
    await proxy.add({ type: 'limit_data', attributes: { bytes: 3 * MiB } }, 'downstream');
    const short = digest(await bad.get('there/large'));
    await failed(short, 'LocationUnreachable');
  });

  test('a download goes on when its connection was cut once', async () => {
    const stream = await bad.get('there/large');
    await proxy.enable(false);
    await proxy.enable(true);
    expect(await digest(stream)).toEqual(await digest(someBytes(size)));
  });
});

describe('a location that refuses', () => {
  const refusals = {
    's3: a wrong secret': ['s3', () => ({ secretAccessKey: secretFor('wrong-secret-key-0123456789') })],
    's3: an unknown key': ['s3', () => ({ accessKeyId: secretFor('UNKNOWNKEY0123456789') })],
    's3: a missing bucket': ['s3', () => ({ bucket: 'not-there' })],
    's3: an authority that is not known': ['s3', () => ({ caFile: undefined })],
    'azure: a wrong key': ['azure', () => ({ key: secretFor(Buffer.alloc(64, 7).toString('base64')) })],
    'azure: a missing container': ['azure', () => ({ container: 'not-there' })],
    'azure: an authority that is not known': ['azure', () => ({ caFile: undefined })],
    'gcs: a missing bucket': ['gcs', () => ({ bucket: 'not-there' })],
    'sftp: another host key': ['sftp', () => ({ hostKey: `ssh-ed25519 ${Buffer.alloc(51, 9).toString('base64')}` })],
    'sftp: a host key of another type': [
      'sftp',
      () => ({ hostKey: `ssh-rsa ${Buffer.alloc(51, 9).toString('base64')}` }),
    ],
    'sftp: a key that is none': ['sftp', () => ({ privateKey: secretFor('no key at all') })],
    'sftp: a key that is not authorized': ['sftp', () => ({ privateKey: secretFor(anotherKey()) })],
  } as const;
  const started = new Map<string, Promise<Place>>();
  const place = (kind: Place['kind']) => {
    if (!started.has(kind)) started.set(kind, places.start(kind));
    return started.get(kind)!;
  };
  const anotherKey = (): string => {
    const file = join(places.directory, 'another-key');
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', file]);
    return execFileSync('cat', [file], { encoding: 'utf8' });
  };

  test.each(Object.entries(refusals))('%s', async (_what, [kind, change]) => {
    const location = await (await place(kind)).open(change(), 20_000);
    await failed(location.put('refused', someBytes(MiB)), 'LocationRefused');
    await failed(location.find('refused'), 'LocationRefused');
    await failed(location.get('refused'), 'LocationRefused');
    await failed(location.list(''), 'LocationRefused');
    await location.close();
  });

  test.each(['directory', 'sftp'] as const)('%s: a directory that is not there is never made', async (kind) => {
    const missing = join(places.directory, 'not', 'mounted');
    const location = await (await place(kind)).open({ directory: missing }, 20_000);
    const put = () => location.put('x', Readable.from(['x']));
    for (const work of [put, () => location.find('x'), () => location.get('x'), () => location.list('')])
      expect((await failed(work(), 'LocationUnreachable')).message).toContain(missing);
    expect(readdirSync(places.directory)).not.toContain('not');
  });
});

test('a directory whose disk goes away in the middle keeps nothing half', async () => {
  const place = await places.start('directory');
  const location = await place.open();
  const root = place.plan['directory'] as string;
  const body = Readable.from(
    (function* () {
      yield Buffer.alloc(MiB);
      renameSync(root, `${root}-away`);
      yield Buffer.alloc(MiB);
    })(),
  );
  await failed(location.put('deep/one', body), 'LocationUnreachable');
  renameSync(`${root}-away`, root);
  await location.put('deep/one', Readable.from(['again']));
  await location.removeUnfinished('');
  expect(filesBelow(root).map((file) => file.slice(root.length))).toContain('/deep/one');
  expect(filesBelow(root).filter((file) => file.includes('lifeboat-part'))).toEqual([]);
});

/** A small disk of its own, where mounting is permitted. */
function smallDisk(directory: string): (() => void) | undefined {
  mkdirSync(directory, { recursive: true });
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', directory], { stdio: 'ignore' });
    return () => execFileSync('umount', ['-l', directory]);
  } catch {
    return undefined;
  }
}

test.for(['directory', 'sftp'] as const)('a full disk: %s', async (kind, { skip }) => {
  const full = join(places.directory, `full-${kind}`);
  const unmount = smallDisk(full);
  if (!unmount) return skip('mounting is not permitted here');
  try {
    const location = await (await places.start(kind)).open({ directory: full }, 20_000);
    await location.put('good', Readable.from(['good']));
    const { message } = await failed(location.put('large', someBytes(8 * MiB)), 'NotEnoughSpace');
    expect(message).toContain(full);
    expect(await location.list('')).toMatchObject([{ name: 'good' }]);
    expect(await location.removeUnfinished(''), 'leftovers').toBe(0);
    expect(await textOf(await location.get('good'))).toBe('good');
    const { free, total } = (await location.space())!;
    expect(total).toBe(4 * MiB);
    expect(free).toBeGreaterThan(3 * MiB);
    await location.put('small', someBytes(MiB));
    await location.close();
  } finally {
    unmount();
  }
});
