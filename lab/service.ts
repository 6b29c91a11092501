import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import { extname } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import type * as Processes from './processes.js';

/**
 * The shop's web service, and the program that the plan controls it by: `node service.js start|stop|status CONFIG`. Run
 * by Node itself, as service.ts in tests and as service.js in the demo; so what it shares is imported by the extension
 * that it has.
 */
const { isAlive, signal, startOf } = (await import(
  new URL(`./processes${extname(import.meta.url)}`, import.meta.url).href
)) as typeof Processes;

export interface ServiceConfig {
  port: number;
  pidFile: string;
  log: string;
  database: { host: string; port: number; user: string; password: string; database: string };
}

const [command, configFile] = process.argv.slice(2);
const config = JSON.parse(readFileSync(configFile ?? '', 'utf8')) as ServiceConfig;

switch (command) {
  case 'start':
    process.exit(await start());
    break;
  case 'stop':
    process.exit(await stop());
    break;
  case 'status':
    process.exit(running() ? 0 : 3);
    break;
  case 'serve':
    serve();
    break;
  default:
    console.error('usage: service start|stop|status CONFIG');
    process.exit(2);
}

/** The process that the pid file names, when it is still that one. */
function running(): number | undefined {
  try {
    const [pid, begun] = readFileSync(config.pidFile, 'utf8').trim().split('\n');
    return isAlive(Number(pid), begun) ? Number(pid) : undefined;
  } catch {
    return undefined;
  }
}

/** Returns once it listens; one that runs already is left alone. */
async function start(): Promise<number> {
  if (running()) return 0;
  const log = openSync(config.log, 'a');
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url), 'serve', configFile!], {
    detached: true,
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  let end = Date.now() + 15_000;
  // One that finds the port taken ends at once: another `start` has won, and its service is about to write the pid
  // file.
  child.once('exit', () => {
    end = Date.now() + 1000;
  });
  while (Date.now() < end) {
    if (running()) return 0;
    await pause(20);
  }
  console.error(`the service did not start; see ${config.log}`);
  return 1;
}

/** Returns once it has ended. */
async function stop(): Promise<number> {
  const pid = running();
  if (pid) {
    const begun = startOf(pid);
    signal(pid, 'SIGTERM');
    if (!(await ended(pid, begun, 5000))) {
      signal(pid, 'SIGKILL');
      if (!(await ended(pid, begun, 5000))) {
        console.error(`pid ${pid} does not end`);
        return 1;
      }
    }
  }
  rmSync(config.pidFile, { force: true });
  return 0;
}

async function ended(pid: number, begun: string | undefined, ms: number): Promise<boolean> {
  const end = Date.now() + ms;
  while (isAlive(pid, begun)) {
    if (Date.now() > end) return false;
    await pause(20);
  }
  return true;
}

function serve(): void {
  const pool = new pg.Pool({
    ...config.database,
    max: 4,
    connectionTimeoutMillis: 1500,
    query_timeout: 1500,
    statement_timeout: 1500,
  });
  // The pool drops a connection that breaks and opens another one for the next request.
  pool.on('error', (error) => {
    console.error(`connection lost: ${error.message}`);
  });

  const server = createServer((request, response) => {
    answer(`${request.method} ${request.url}`, response).catch((error: unknown) => {
      const message = error instanceof Error ? error.message : String(error);
      console.error(`${new Date().toISOString()} ${request.method} ${request.url}: ${message}`);
      send(response, 503, { status: 'degraded', error: message }, { 'X-System-Status': 'degraded' });
    });
  });

  async function answer(request: string, response: ServerResponse): Promise<void> {
    switch (request) {
      case 'GET /health':
        await pool.query('SELECT id FROM orders ORDER BY id DESC LIMIT 1');
        await pool.query(
          'INSERT INTO service_health (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET checked_at = clock_timestamp()',
        );
        send(response, 200, { status: 'ok' });
        break;
      case 'GET /orders':
        send(response, 200, await one('SELECT count(*)::int AS orders FROM orders'));
        break;
      case 'POST /orders':
        send(
          response,
          201,
          await one(
            'INSERT INTO orders (customer_id, product_id, quantity, total) VALUES (1, 1, 1, 9.90) RETURNING id::int',
          ),
        );
        break;
      default:
        send(response, 404, { error: 'not found' });
    }
  }

  const one = async (text: string): Promise<unknown> => (await pool.query(text)).rows[0];

  server.listen(config.port, '127.0.0.1', () => {
    const partial = `${config.pidFile}.${process.pid}`;
    writeFileSync(partial, `${process.pid}\n${startOf(process.pid)}\n`);
    renameSync(partial, config.pidFile);
  });
  process.once('SIGTERM', () => {
    server.close();
    server.closeAllConnections();
    process.exit(0);
  });
}

function send(response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}): void {
  response.writeHead(status, { 'Content-Type': 'application/json', ...headers }).end(JSON.stringify(body));
}
