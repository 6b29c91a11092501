import { execFileSync } from 'node:child_process';
import { appendFileSync, chmodSync, chownSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { answers } from '../../activities/postgres/connect.js';
import { launch, untilReady } from '../../activities/postgres/server.js';
import { ownerOf, run } from '../../activities/run.js';
import { stream } from '../../activities/backups/logical/program.js';
import { createLab, type Lab } from '../../lab/lab.js';
import { databaseUser } from '../../lab/os-user.js';
import { type Host, hostOf } from '../helpers/host.js';

/**
 * Needs root: the agent is, and the data belongs to `postgres`, who is in the group ssl-cert (Debian's
 * postgresql-common).
 */
describe.runIf(databaseUser)('programs that run as the owner of the data', { timeout: 900_000 }, () => {
  let lab: Lab;
  let host: Host;
  const owner = databaseUser!;
  const idsOf = (user: number) =>
    execFileSync('id', ['-G', String(user)], { encoding: 'utf8' })
      .trim()
      .split(' ')
      .map(Number);
  let group: number;

  beforeAll(async () => {
    group = idsOf(owner.uid).find((gid) => gid !== owner.gid)!;
    expect(group, 'the owner is in another group, too').toBeDefined();
    lab = await createLab({ temporal: 'none', service: false, fast: true, rows: 200 });
    host = await hostOf(lab);
  }, 900_000);
  afterAll(() => lab.stop());

  /** A file that root and a group may read. */
  const forGroup = (name: string, gid: number) => {
    const path = join(lab.directory, name);
    writeFileSync(path, 'for the group\n');
    chownSync(path, 0, gid);
    chmodSync(path, 0o640);
    return path;
  };
  const ledger = () => ({ directory: join(host.context.state, 'running'), name: 'owners-test' });

  test('have the rights of every group of that user, and of no other', async () => {
    const file = forGroup('for-group', group);
    expect((await run('cat', [file], { owner })).stdout).toBe('for the group');
    expect((await run('cat', [file], { owner, ledger: ledger() })).stdout).toBe('for the group');
    const streamed = stream('cat', [file], { owner, env: {} });
    const chunks = await streamed.stdout.toArray();
    await streamed.done;
    expect(Buffer.concat(chunks as Buffer[]).toString()).toBe('for the group\n');
    expect((await run('id', ['-G'], { owner })).stdout.split(' ').map(Number).sort()).toEqual(idsOf(owner.uid).sort());
    const nobodyKnows = { uid: 61_234, gid: 61_234 };
    expect((await run('id', ['-G'], { owner: nobodyKnows })).stdout).toBe('61234');
    await expect(run('cat', [forGroup('for-root', 0)], { owner })).rejects.toThrow('Permission denied');
  });

  test('end as they end: their exit code, a program that is not there, a time that is up', async () => {
    expect((await run('sh', ['-c', 'exit 7'], { owner, accept: [7] })).code).toBe(7);
    for (const options of [{ owner }, { owner, ledger: ledger() }])
      await expect(run('no-such-program', [], options)).rejects.toMatchObject({ type: 'ToolMissing' });
    await expect(stream('no-such-program', [], { owner, env: {} }).done).rejects.toMatchObject({ type: 'ToolMissing' });
    const began = Date.now();
    await expect(run('sh', ['-c', 'sleep 100 & wait'], { owner, timeout: 200 })).rejects.toMatchObject({
      type: 'CommandFailed',
    });
    expect(Date.now() - began, 'and what it started ends with it').toBeLessThan(50_000);
  });

  test('a server whose key its group alone may read, as Debian’s, is started', async () => {
    const certificate = join(lab.directory, 'server.crt');
    const key = join(lab.directory, 'server.key');
    const made = [
      'req',
      '-new',
      '-x509',
      '-nodes',
      '-days',
      '2',
      '-subj',
      '/CN=db1',
      '-keyout',
      key,
      '-out',
      certificate,
    ];
    execFileSync('openssl', made, { stdio: 'ignore' });
    chownSync(key, 0, group);
    chmodSync(key, 0o640);
    chmodSync(certificate, 0o644);
    const conf = join(lab.primary.dataDirectory, 'postgresql.conf');
    appendFileSync(conf, `\nssl = on\nssl_cert_file = '${certificate}'\nssl_key_file = '${key}'\n`);
    await lab.primary.stop();
    await launch(host.cluster);
    const directory = host.cluster.dataDirectory;
    await untilReady(
      host.cluster,
      { directory, seconds: 60, what: 'starting it' },
      async () => (await answers(host.cluster)) || undefined,
    );
  });

  test('a copy is restored where the folder for temporary files is root’s own (libpam-tmpdir)', async () => {
    const before = process.env['TMPDIR'];
    const own = join(lab.directory, 'tmp-of-root');
    mkdirSync(own, { mode: 0o700 });
    process.env['TMPDIR'] = own;
    try {
      await host.backup();
      await host.restore('private-tmp');
      const found = await ownerOf(host.scratch('private-tmp').socketDirectory);
      expect(found).toEqual(owner);
    } finally {
      if (before === undefined) delete process.env['TMPDIR'];
      else process.env['TMPDIR'] = before;
    }
  });
});
