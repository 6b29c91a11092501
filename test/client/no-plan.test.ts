import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { planOf } from '../../client/no-plan.js';
import { parsePlan } from '../../plan/load.js';

/**
 * What DATABASE_URL, BACKUP_DIR, BACKUP_RETENTION_DAYS and BACKUP_COMPRESSION stand for when there is no plan file
 * (FL-19).
 */
describe('backups without a plan file', () => {
  const url = 'postgres://floyo:secret@db.example.com:5433/floyo';
  const planned = (env: Record<string, string>) => {
    const { name, directory, plan } = planOf({ DATABASE_URL: url, ...env });
    return { name, directory, plan: parsePlan(stringify(plan), 'lifeboat.yaml'), text: stringify(plan) };
  };

  it('keeps 30 days, compressed, in ./backups, by default', () => {
    const { name, directory, plan } = planned({});
    expect(name).toBe('floyo');
    expect(directory).toBe(`${process.cwd()}/backups`);
    expect(plan.databases['floyo']!.backups.logical).toMatchObject({ keep: { for: 30 * 86_400 }, compression: true });
  });

  it('does what the variables say', () => {
    const { directory, plan } = planned({
      BACKUP_DIR: '/mnt/b',
      BACKUP_RETENTION_DAYS: '7',
      BACKUP_COMPRESSION: 'false',
    });
    expect(directory).toBe('/mnt/b');
    expect(plan.databases['floyo']!.backups.logical).toMatchObject({ keep: { for: 7 * 86_400 }, compression: false });
  });

  it('writes no secret anywhere: the connection string stays in the environment', () => {
    expect(planned({}).text).not.toContain('secret');
  });

  it('tells databases with odd names apart', () => {
    const named = (database: string) =>
      planOf({ DATABASE_URL: `postgres://localhost/${encodeURIComponent(database)}` });
    expect(named('ünï "x"').plan.databases[named('ünï "x"').name]!.name).toBe('ünï "x"');
    expect(named('a b').name).not.toBe(named('a-b').name);
    for (const odd of ['-x', '1', 'ünï', 'a b', 'x'.repeat(80)])
      expect(() => parsePlan(stringify(named(odd).plan), 'lifeboat.yaml')).not.toThrow();
  });

  it('keeps what it does for a database apart from what it does for one of that name on another server', () => {
    const keyOf = (DATABASE_URL: string, more = {}) => planOf({ DATABASE_URL, ...more }).key;
    const keys = [
      url,
      url.replace('5433', '5434'),
      url.replace('db.', 'staging.'),
      'postgres:///floyo?host=/run/a',
      'postgres:///floyo?host=/run/b',
    ];
    expect(new Set(keys.map((one) => keyOf(one))).size).toBe(keys.length);
    expect(keyOf(url.replace('secret', 'other')), 'a new password is no other server').toBe(keyOf(url));
  });

  it.each([
    [{ DATABASE_URL: 'postgres://localhost/a%zz' }, /DATABASE_URL has a % that begins no escape/],
    [{ DATABASE_URL: 'postgres://u:p%zz@localhost/a' }, /DATABASE_URL has a % that begins no escape/],
    [{ DATABASE_URL: 'mysql://localhost/x' }, /DATABASE_URL does not begin with postgres/],
    [{ DATABASE_URL: 'nonsense' }, /DATABASE_URL is not a URL/],
    [{ DATABASE_URL: 'postgres://localhost' }, /DATABASE_URL names no database/],
    [{ DATABASE_URL: url, BACKUP_RETENTION_DAYS: 'many' }, /BACKUP_RETENTION_DAYS is "many"/],
    [{ DATABASE_URL: url, BACKUP_RETENTION_DAYS: '0' }, /BACKUP_RETENTION_DAYS is "0"/],
    [{ DATABASE_URL: url, BACKUP_COMPRESSION: 'gzip' }, /BACKUP_COMPRESSION is "gzip"/],
  ])('refuses %j', (env, says) => {
    expect(() => planOf(env)).toThrow(says);
  });
});
