import { ApplicationFailure } from '@temporalio/common';
import { afterEach, describe, expect, test, vi } from 'vitest';
import type { Plan } from '../../plan/schema.js';
import { keepSecretsOut } from '../../worker/keep-secrets-out.js';

const plan = (password: string, replication = 'env:REPLICATION') =>
  ({
    locations: { onsite: { directory: '/backups', encryption: 'env:PASSPHRASE' } },
    databases: { main: { postgres: { password, replication: { user: 'r', password: replication } } } },
    redis: {},
    notifications: {},
  }) as unknown as Plan;

/** What leaves the worker when an activity gives this. */
async function leaves(work: () => unknown, of = plan('env:PASSWORD')): Promise<unknown> {
  const execute = keepSecretsOut(of, '/')({} as never).inbound!.execute!;
  return execute({ args: [], headers: {} }, async () => work()).catch((error: unknown) => error);
}
const fails = (error: Error) => () => {
  throw error;
};

afterEach(() => {
  vi.unstubAllEnvs();
});

describe('field note 16: a secret never leaves the host', () => {
  const set = (secrets: Record<string, string>) => {
    for (const [name, value] of Object.entries(secrets)) vi.stubEnv(name, value);
  };

  test('its reference stands where it stood, in results of any shape', async () => {
    set({ PASSWORD: 'hunter2secret', PASSPHRASE: 'open sesame' });
    const result = await leaves(() => ({
      says: 'password=hunter2secret',
      files: [{ 'open sesame': 1 }, null, 3, true],
    }));
    expect(result).toEqual({ says: 'password=(env:PASSWORD)', files: [{ '(env:PASSPHRASE)': 1 }, null, 3, true] });
  });

  test('in a failure: its message and its details; its kind stays', async () => {
    set({ PASSWORD: 'hunter2secret' });
    const error = (await leaves(
      fails(
        ApplicationFailure.create({
          type: 'CommandFailed',
          nonRetryable: true,
          message: 'psql: password "hunter2secret" is wrong',
          details: [{ hint: 'hunter2secret' }],
        }),
      ),
    )) as ApplicationFailure;
    expect(error.message).toBe('psql: password "(env:PASSWORD)" is wrong');
    expect(error).toMatchObject({ type: 'CommandFailed', nonRetryable: true, details: [{ hint: '(env:PASSWORD)' }] });
    expect(error.stack).not.toContain('hunter2secret');
  });

  test('in any error, its stack, and everything that caused it', async () => {
    set({ PASSWORD: 'hunter2secret' });
    const error = (await leaves(
      fails(
        new Error('outer hunter2secret', {
          cause: new Error('inner hunter2secret', { cause: new Error('innermost hunter2secret') }),
        }),
      ),
    )) as Error;
    const all: string[] = [];
    for (let one: unknown = error; one instanceof Error; one = one.cause) all.push(one.message, one.stack ?? '');
    expect(all.join('\n')).not.toContain('hunter2secret');
    expect(error.message).toBe('outer (env:PASSWORD)');
  });

  test('as it is written in a URL, and in JSON', async () => {
    set({ PASSWORD: 'p@ss/"word' });
    const result = (await leaves(
      () => `postgres://u:${encodeURIComponent('p@ss/"word')}@h and ${JSON.stringify({ p: 'p@ss/"word' })}`,
    )) as string;
    expect(result).toBe('postgres://u:(env:PASSWORD)@h and {"p":"(env:PASSWORD)"}');
  });

  test('the password in a connection string, by itself; unless it is the name of its user, which is no secret', async () => {
    set({ PASSWORD: 'postgres://app:p%40ssword@db.example.com/shop', REPLICATION: 'postgres://postgres:postgres@h/x' });
    expect(await leaves(() => 'p@ssword, p%40ssword, app, postgres')).toBe(
      '(env:PASSWORD), (env:PASSWORD), app, postgres',
    );
  });

  test('each line of a private key, in a file of its own or in the JSON of a service account', async () => {
    const line = 'MIIEvQIBADANBgkqhkiG9w0BAQEFAASC';
    const key = (end: string) => `-----BEGIN PRIVATE KEY-----${end}${line}${end}-----END PRIVATE KEY-----`;
    set({ PASSWORD: key('\n') });
    expect(await leaves(() => `bad base64: ${line}`)).toBe('bad base64: (env:PASSWORD)');
    set({ PASSWORD: JSON.stringify({ type: 'service_account', private_key: key('\n') }) });
    expect(await leaves(() => `bad base64: ${line}, service_account`)).toBe(
      'bad base64: (env:PASSWORD), service_account',
    );
  });

  test('of a secret that begins with another one, nothing is left over', async () => {
    set({ PASSWORD: 'hunter', REPLICATION: 'hunter-and-more' });
    expect(await leaves(() => 'hunter-and-more, hunter')).toBe('(env:REPLICATION), (env:PASSWORD)');
  });

  test('a secret of fewer than four characters would blank out ordinary words, and is not looked for: doctor warns of it', async () => {
    set({ PASSWORD: 'abc' });
    expect(await leaves(() => 'abc of the alphabet')).toBe('abc of the alphabet');
  });

  test('a secret that cannot be read here changes nothing', async () => {
    vi.stubEnv('PASSWORD', undefined);
    expect(await leaves(() => ({ says: 'well' }))).toEqual({ says: 'well' });
  });
});
