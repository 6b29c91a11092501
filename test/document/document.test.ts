import { readFile } from 'node:fs/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { renderDocument } from '../../document/document.js';
import { parsePlan } from '../../plan/load.js';
import { databaseCorruption } from '../../scenarios/database-corruption.js';
import { postRecoveryTasks } from '../../scenarios/tasks.js';
import { change, good, goodPlan } from '../plan/plans.js';

const now = new Date('2026-11-21T03:15:00Z');
const print = (text: string): string => renderDocument(parsePlan(text, 'lifeboat.yaml'), { now });

describe('the document of the example', () => {
  let text: string;
  beforeAll(async () => {
    text = renderDocument(parsePlan(await readFile('lifeboat.example.yaml', 'utf8'), 'lifeboat.example.yaml'), {
      now,
      path: 'shop.yaml',
    });
  });

  it('has every chapter, the most urgent first', () => {
    expect(text.match(/^## .*$/gm)).toEqual([
      '## If it is happening now',
      '## Objectives',
      '## What is protected',
      '## People',
      '## Scenarios',
      '## After the recovery',
      '## Drills',
      '## If Lifeboat itself is gone',
      '## Secrets that a recovery needs',
    ]);
  });
  it('says when it was printed and from what', () =>
    expect(text).toMatch(/Printed 2026-11-21 03:15 UTC from `shop\.yaml`, plan `[0-9a-f]{12}`/));
  it('has the objectives of the system and of each database', () => {
    expect(text).toContain('| the system | 1h | 15m |');
    expect(text).toContain('| database main | 15m | 5m |');
  });
  it('has contacts, roles, and who is called in which order', () => {
    expect(text).toContain('1. **Ben Okoro** (+91 22 5550 0102, ben@shop.example)\n2. **Asha Rao**');
    expect(text).toContain('Whoever does not answer within 10m');
    expect(text).toContain('| incident commander | **Asha Rao** (+91 22 5550 0101, asha@shop.example) |');
    expect(text).toContain('| hosting | Hosting provider | +91 44 5550 0199 |');
  });
  it('has every step, in its order', () => {
    const at = databaseCorruption.steps.map(
      ({ name, does }, i) => text.indexOf(`${i + 1}. **${name}.**`) * (text.includes(does) ? 1 : -1),
    );
    expect(at.every((place) => place > 0)).toBe(true);
    expect(at).toEqual([...at].sort((a, b) => a - b));
  });
  it('says in the steps what they do in this system', () => {
    expect(text).toContain(
      'Here: stops service backend on app1 (`systemctl stop shop-backend`); then closes the server on db1, port 5432.',
    );
    expect(text).toContain('Here: into `/var/lib/postgresql/15/main.restored-shop-YYYYMMDD-HHMMSS` on db1.');
    expect(text).toContain('`/var/lib/postgresql/15/main.quarantine-shop-YYYYMMDD-HHMMSS`');
    expect(text).toContain('Here: backend answers at `http://app1.shop.example:8080/health` within 2s.');
    expect(text).toContain('rebuilds the standby on db2');
    expect(text).toContain(
      'counts `users`, `orders` and `billing.invoices`; `select count(*) from orders where total < 0` gives `0`.',
    );
  });
  it('has the commands to type', () => {
    for (const command of [
      'start database-corruption --database main',
      '--to "',
      '--dry-run',
      'watch',
      'approve',
      'report',
      'close',
      'backup list',
      'check',
      'up ',
      'doctor',
    ])
      expect(text).toContain(command);
  });
  it('has backups and drills in words', () => {
    expect(text).toContain(
      '| main | every Sunday at 02:00 | from Monday to Saturday at 02:00 | every day at 08:00, 14:00 and 20:00 | 5 full backups',
    );
    expect(text).toContain(
      '| A database is corrupted, or its data is wrong | main | on day 1 of January, April, July and October at 11:00 |',
    );
  });
  it('has the tasks after the recovery', () => {
    for (const task of postRecoveryTasks) expect(text).toContain(`- [ ] ${task.text}`);
  });
  it('can be carried out by hand when no Lifeboat is left', () => {
    expect(text).toContain('pgbackrest --config=$PWD/by-hand.conf --stanza=shop-main --archive-mode=off restore');
    expect(text).toContain('repo1-path=/mnt/backups/shop');
  });
  it('lists the references to secrets', () =>
    expect(text).toContain('| `env:REPLICATION_PASSWORD` | `databases.main.postgres.replication.password` |'));
  it('has tables whose rows have as many cells as their heads', () => {
    for (const block of text.split('\n\n').filter((each) => each.startsWith('| '))) {
      expect(
        new Set(
          block
            .trim()
            .split('\n')
            .map((line) => line.replace(/\\\|/g, '').split('|').length),
        ).size,
        block,
      ).toBe(1);
    }
  });
});

it('speaks of each database when there are several', () => {
  const text = renderDocument(goodPlan(), { now });
  expect(text).toContain('Here, main: stops service backend');
  expect(text).toContain('Here, stock: no service of the plan writes to it');
  expect(text).toContain(
    '`lifeboat start database-corruption --database main` or `lifeboat start database-corruption --database stock`',
  );
});
it('says what a plan lacks', () => {
  const text = print(good.replace(/people:\n(.|\n)*/, ''));
  expect(text).toContain('nobody is named on call');
  expect(text).toContain('Nobody is named in this plan');
  expect(text).toContain('**No drill is scheduled.**');
});
it('asks for another person where the plan wants two', () => {
  expect(print(change(['system: shop', 'system: shop\napprovals: { people: 2 }']))).toContain(
    'by another person than the one who declared the incident',
  );
});
it('cannot be broken by the text of the plan', () => {
  const text = print(
    change(
      ['name: Asha Rao', 'name: "A | B `x` <script>\\n# head"'],
      ['select count(*) from orders where total < 0', '"select `a`, b || c"'],
    ),
  );
  expect(text).not.toContain('<script>');
  expect(text).not.toMatch(/^# head/m);
  expect(text).toContain('A \\| B');
});
