import { describe, expect, it } from 'vitest';
import { renderJson } from '../../activities/reports/index.js';
import { drill, missed, recovered, refused, serviceLate } from './fixtures.js';

const read = (text: string) => JSON.parse(text) as Record<string, unknown>;

describe('the JSON report', () => {
  it('holds the whole state, and what follows from it', () => {
    expect(read(renderJson(recovered))).toEqual({
      format: 'lifeboat-report/1',
      rehearsal: null,
      rto: { objectiveSeconds: 900, seconds: 640, met: true, note: null },
      rpo: { objectiveSeconds: 300, seconds: 4.2, met: true, note: null },
      components: [],
      rowsOk: true,
      tasksOpen: ['root-cause', 'document-update', 'debrief', 'improvement', 'customer-report'],
      incident: recovered,
    });
  });

  it('says of each component whether it met its own objectives', () => {
    expect(read(renderJson(serviceLate))['components']).toEqual([
      {
        ...{ name: 'main', kind: 'database', rto: { objectiveSeconds: 900, seconds: 400, met: true, note: null } },
        rpo: { objectiveSeconds: 300, seconds: 4.2, met: true, note: null },
      },
      { name: 'web', kind: 'service', rto: { objectiveSeconds: 300, seconds: 420, met: false, note: null }, rpo: null },
    ]);
  });

  it('says of a recovery that was rolled back that nothing was achieved, whatever was measured', () => {
    expect(read(renderJson({ ...recovered, phase: 'rolled back' }))).toMatchObject({
      rto: { seconds: null, met: null, note: 'the recovery was rolled back; before that it was 10m 40s' },
      rpo: { seconds: null, met: null, note: 'the recovery was rolled back; before that it was 4.2s' },
    });
  });

  it('says missed, unknown and rehearsed', () => {
    expect(read(renderJson(missed))).toMatchObject({
      rto: { met: false },
      rpo: { met: null, note: 'the restored copy holds no canary' },
      rowsOk: false,
    });
    expect(read(renderJson(refused))).toMatchObject({ rto: { seconds: null, met: null }, rowsOk: null });
    expect(read(renderJson(drill))).toMatchObject({ rehearsal: 'DRILL' });
  });
});
