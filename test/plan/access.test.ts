import { expect, it } from 'vitest';
import {
  databaseHosts,
  databaseObjectives,
  databaseOf,
  databasesOn,
  hostAddress,
  hostsOf,
  onHost,
  onlyDatabase,
  servicesOf,
} from '../../plan/access.js';
import { goodPlan } from './plans.js';

const plan = goodPlan();

it('resolves a value for a host', () => {
  expect(onHost(5432, 'db1')).toBe(5432);
  expect(onHost({ db1: '/a', db2: '/b' }, 'db2')).toBe('/b');
  expect(() => onHost({ db1: '/a' }, 'db2')).toThrow('no value for host "db2"');
  expect(() => onHost({ db1: '/a' }, 'constructor')).toThrow('no value');
});
it('knows databases, hosts and services', () => {
  expect(databaseOf(plan, 'main').name).toBe('shop');
  expect(() => databaseOf(plan, 'toString')).toThrow('it has: main, stock');
  expect(hostsOf(plan)).toEqual(['db1', 'db2', 'app1']);
  expect(databaseHosts(plan, 'main')).toEqual(['db1', 'db2']);
  expect(databasesOn(plan, 'db1')).toEqual([
    { database: 'main', role: 'primary' },
    { database: 'stock', role: 'primary' },
  ]);
  expect(databasesOn(plan, 'db2')).toEqual([{ database: 'main', role: 'standby' }]);
  expect(databasesOn(plan, 'app1')).toEqual([]);
  expect([hostAddress(plan, 'db1'), hostAddress(plan, 'db2')]).toEqual(['192.0.2.1', 'db2']);
  expect([servicesOf(plan, 'main'), servicesOf(plan, 'stock')]).toEqual([['backend'], []]);
});
it('gives a database its own objectives, or those of the system', () => {
  expect(databaseObjectives(plan, 'main')).toEqual({ rto: 900, rpo: 300 });
  expect(databaseObjectives(plan, 'stock')).toEqual({ rto: 3600, rpo: 900 });
});
it('names the only database, when there is only one', () => {
  expect(onlyDatabase(plan)).toBeUndefined();
  expect(onlyDatabase({ ...plan, databases: { stock: plan.databases.stock! } })).toBe('stock');
});
