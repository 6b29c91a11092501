import { execFileSync } from 'node:child_process';
import { constants, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { readFile as ordinary } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { copyFile, openRegular, readFile, sha256 } from '../../activities/files.js';
import { saveEvidence } from '../../activities/postgres/evidence.js';
import { isClosed, putFence } from '../../activities/postgres/fence.js';
import { logFile, postmasterPid, serverLog } from '../../activities/postgres/server.js';
import { createLab, type Lab } from '../../lab/lab.js';
import { type Host, hostOf } from '../helpers/host.js';

/** Four file operations that never end freeze a process of Node: what somebody else made is never waited for. */
describe('files that somebody else made', { timeout: 900_000 }, () => {
  let lab: Lab;
  let host: Host;
  const fifo = (path: string) => void execFileSync('mkfifo', [path]);

  beforeAll(async () => {
    lab = await createLab({ temporal: 'none', service: false, fast: true, rows: 200 });
    host = await hostOf(lab);
  }, 900_000);
  afterAll(() => lab.stop());

  test('are read when they are files, and refused when they are none', async () => {
    const pipe = join(lab.directory, 'pipe');
    fifo(pipe);
    const refused = { type: 'CommandFailed', message: `${pipe} is no regular file` };
    await Promise.all(
      Array.from({ length: 5 }, async () => {
        await expect(readFile(pipe, 'utf8')).rejects.toMatchObject(refused);
        await expect(copyFile(pipe, `${pipe}.copy`)).rejects.toMatchObject(refused);
        await expect(sha256(pipe)).rejects.toMatchObject(refused);
        await expect(openRegular(pipe, constants.O_WRONLY | constants.O_CREAT)).rejects.toMatchObject(refused);
      }),
    );
    await expect(readFile(lab.directory, 'utf8')).rejects.toMatchObject({ code: 'EISDIR' });
    await expect(readFile(`${pipe}.none`, 'utf8')).rejects.toMatchObject({ code: 'ENOENT' });
    expect(await readFile(lab.planPath, 'utf8')).toBe(await ordinary(lab.planPath, 'utf8'));
    expect(await readFile('/dev/null', 'utf8').catch((error: unknown) => (error as Error).message)).toBe(
      '/dev/null is no regular file',
    );
  });

  test('a FIFO in the place of pg_hba.conf, a PID file or a log holds up neither the fence nor the evidence nor anything else', async () => {
    const hba = join(lab.primary.dataDirectory, 'pg_hba.conf');
    renameSync(hba, `${hba}.away`);
    fifo(hba);
    await Promise.all(Array.from({ length: 6 }, async () => expect(await isClosed(host.cluster)).toBe(false)));
    await expect(putFence(host.cluster, 'with-a-fifo')).rejects.toThrow(`${hba} is no regular file`);
    execFileSync('rm', [hba]);
    renameSync(`${hba}.away`, hba);

    const elsewhere = join(lab.directory, 'elsewhere');
    mkdirSync(elsewhere);
    fifo(join(elsewhere, 'postmaster.pid'));
    expect(await postmasterPid(elsewhere)).toBeUndefined();
    const log = logFile(host.cluster);
    mkdirSync(join(log, '..'), { recursive: true });
    fifo(log);
    expect(await serverLog(host.cluster)).toEqual([]);
    execFileSync('rm', [log]);

    const marker = join(lab.directory, 'marker');
    writeFileSync(marker, 'read');
    expect(await ordinary(marker, 'utf8'), 'other files are read as ever').toBe('read');
    const { files } = await saveEvidence(host.context).execute({ database: 'main', incident: 'with-a-fifo' });
    expect(files.length).toBeGreaterThan(1);
  });
});
