import { appendFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { backupPhysical } from '../../../activities/backups/backup.js';
import { hostFacts } from '../../../activities/doctor/host-facts.js';
import { checkRequest } from '../../../activities/recovery/check-request.js';
import { noteCluster } from '../../../activities/postgres/note-cluster.js';
import { openDatabase, release } from '../../../activities/postgres/open.js';
import { putInPlace } from '../../../activities/recovery/put-in-place.js';
import { stopWrites } from '../../../activities/postgres/stop-writes.js';
import { verifyRestored } from '../../../activities/recovery/verify-restored.js';
import { createLab, type Lab } from '../../../lab/lab.js';
import { makeDirectory, own } from '../../../lab/os-user.js';
import { type Host, hostOf } from '../../helpers/host.js';
import { filesBelow } from '../../helpers/locations.js';

/** Issue 7, A10: the data directory is gone, and so is what the agent had noted of it. */
describe('how a database was configured, kept with its backups', { timeout: 300_000 }, () => {
  let lab: Lab;
  let host: Host;
  let data: string;
  let outside: string;
  const secret = 'not-for-everybody';
  const of = (incident: string) => ({ database: 'main', incident });
  const keptAt = (location: string) =>
    filesBelow(join(lab.locations[location]!, 'lifeboat')).filter((file) => /\.known\.json(\.age)?$/.test(file));
  const lose = async (...more: string[]) => {
    await lab.primary.stop().catch(() => undefined);
    for (const path of [data, host.context.state, ...more]) rmSync(path, { recursive: true, force: true });
    host = await hostOf(lab);
  };

  beforeAll(async () => {
    lab = await createLab({
      ...{ temporal: 'none', service: false, fast: true, rows: 100, locations: 2 },
      plan: (plan) => delete plan.locations['onsite']!.encryption,
    });
    host = await hostOf(lab);
    data = lab.primary.dataDirectory;
    const folder = makeDirectory(join(lab.directory, 'settings'));
    outside = join(folder, 'more.conf');
    writeFileSync(outside, "work_mem = '11MB'\n");
    own(outside);
    appendFileSync(
      join(data, 'postgresql.conf'),
      `\ninclude '${outside}'\nprimary_conninfo = 'host=10.0.0.1 password=${secret}'\n`,
    );
    appendFileSync(
      join(data, 'pg_hba.conf'),
      `\nhost all ldap 10.0.0.0/8 ldap ldapserver=x ldapbasedn="b" ldapbinddn="a" ldapbindpasswd="${secret}"\n`,
    );
    await lab.primary.restart();
    await host.backup();
    await host.beat();
  }, 300_000);
  afterAll(() => lab.stop());

  test('lies beside each, encrypted where the location is, and with no secret where it is not', () => {
    for (const location of ['onsite', 'offsite']) expect(keptAt(location)).toHaveLength(1);
    expect(readFileSync(keptAt('offsite')[0]!).subarray(0, 21).toString()).toBe('age-encryption.org/v1');
    const text = readFileSync(keptAt('onsite')[0]!, 'utf8');
    expect(text).not.toContain(secret);
    expect(text).toContain('removed-by-lifeboat');
    expect(Object.keys((JSON.parse(text) as { files: object }).files)).toEqual(
      expect.arrayContaining([outside, join(data, 'pg_hba.conf')]),
    );
  });

  test('both gone, and a file outside of it: all comes back as it was, and it is said from where', async () => {
    const hba = readFileSync(join(data, 'pg_hba.conf'), 'utf8');
    // The one that is encrypted is whole.
    rmSync(keptAt('onsite')[0]!);
    await lose(outside);
    const { warnings } = await checkRequest(host.context).execute(of('both'));
    expect(warnings.join('\n')).toMatch(
      /the agent of db1 has no notes of main: what it was is known from \S+F at offsite/,
    );
    expect(warnings.join('\n')).toContain(outside);
    const facts = (await hostFacts(host.context).execute({})).checks;
    expect(facts.find(({ what }) => what === 'main primary: data directory')).toMatchObject({
      says: expect.stringContaining('the data directory is gone') as string,
    });
    await stopWrites(host.context).execute(of('both'));
    await host.restore('both');
    const verified = await verifyRestored(host.context).execute({
      ...of('both'),
      target: 'latest',
      declaredAt: new Date().toISOString(),
    });
    expect(verified.doubts).toEqual([]);
    expect(verified.differences.join('\n')).toMatch(
      /the configuration as it was at \S+, kept with \S+ at offsite is kept/,
    );
    await putInPlace(host.context).execute(of('both'));
    await openDatabase(host.context).execute(of('both'));
    await release(host.context).execute(of('both'));
    expect(readFileSync(join(data, 'pg_hba.conf'), 'utf8')).toBe(hba);
    expect(
      (await lab.primary.sql(`SELECT current_setting('work_mem') AS mem, (SELECT count(*)::int FROM orders) AS n`))[0],
    ).toEqual({
      mem: '11MB',
      n: 100,
    });
    await noteCluster(host.cluster);
  });

  test.runIf(process.getuid?.() === 0)(
    'what a location says puts no file where only root may (needs root)',
    async () => {
      await backupPhysical(host.context).execute({ component: 'main', type: 'full', run: 'of the recovered one' });
      for (const file of keptAt('offsite')) rmSync(file);
      const file = keptAt('onsite').at(-1);
      const known = JSON.parse(readFileSync(file!, 'utf8')) as { files: Record<string, unknown> };
      known.files[join(lab.directory, 'cron.d')] = { text: 'evil', mode: 0o644 };
      writeFileSync(file!, JSON.stringify(known));
      await lose();
      const { warnings } = await checkRequest(host.context).execute({ ...of('evil'), target: 'timeline:2' });
      expect(warnings.join('\n')).toMatch(/is for you to put back: \S+\/cron\.d; the text: /);
      await stopWrites(host.context).execute(of('evil'));
      expect(() => readFileSync(join(lab.directory, 'cron.d'))).toThrow(/ENOENT/);
    },
  );

  test('where neither is left, the refusal says what is missing of both, and what to do', async () => {
    for (const location of ['onsite', 'offsite']) for (const file of keptAt(location)) rmSync(file);
    await lose();
    await expect(checkRequest(host.context).execute(of('neither'))).rejects.toMatchObject({
      type: 'WrongTarget',
      message: expect.stringMatching(
        /there is no directory .*; and nothing says that main was there: the agent of db1 has no notes of it \(\S+known-main\.json\), and none are kept with its backups: no backup at onsite has them beside it; no backup at offsite/,
      ) as string,
      details: [
        { hint: expect.stringMatching(/correct dataDirectory .*restore by hand.*lifeboat document/) as string },
      ],
    });
  });
});
