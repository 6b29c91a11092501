import { expect, it } from 'vitest';
import { closest, suggestion } from '../../plan/suggest.js';

const known = ['primary', 'standbys', 'dataDirectory', 'port', 'socketDirectory', 'systemd'];

it.each([
  ['prot', 'port'],
  ['datadirectory', 'dataDirectory'],
  ['data_dir', 'dataDirectory'],
  ['standby', 'standbys'],
  ['Primary', 'primary'],
  ['sytemd', 'systemd'],
  ['xyz', undefined],
  ['p', undefined],
  ['', undefined],
])('%s: %s', (given, near) => expect(closest(given, known)).toBe(near));
it('names all that is known when nothing is near', () => {
  expect(suggestion('xyz', ['db1', 'db2'], 'host')).toBe('known hosts: db1, db2');
  expect(suggestion('db3', ['db1', 'web'], 'host')).toBe('did you mean "db1"?');
  expect(suggestion('xyz', [], 'host')).toBe('there is no host here yet');
});
