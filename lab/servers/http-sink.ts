import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { freePort } from '../ports.js';

/** A request that the sink was sent. */
export interface Recorded {
  path: string;
  headers: Record<string, unknown>;
  /** Of JSON and of forms alike. */
  body: Record<string, unknown>;
  /** What it was answered; undefined while it hangs. */
  status?: number;
}

/** How it answers: a status, with a body and headers; or not at all. */
export type Answer = 'hang' | { status: number; body?: unknown; headers?: Record<string, string> };

export interface HttpSink {
  /** http://127.0.0.1:PORT */
  url: string;
  requests: Recorded[];
  /** How it answers from now on: as Slack and PagerDuty do by default. `times`: so often, and then as before. */
  answer(how: Answer | 'well', times?: number): void;
  stop(): Promise<void>;
}

/**
 * Takes the place of Slack's and PagerDuty's APIs at the plan's own `url`: it records what it is sent, and answers as
 * it is told.
 */
export async function startHttpSink(): Promise<HttpSink> {
  const requests: Recorded[] = [];
  let usual: Answer | 'well' = 'well';
  let next: (Answer | 'well')[] = [];
  let messages = 0;
  const well = (path: string): Exclude<Answer, string> => {
    if (path.endsWith('/v2/enqueue')) return { status: 202, body: { status: 'success', message: 'Event processed' } };
    if (path.endsWith('auth.test')) return { status: 200, body: { ok: true, user: 'lifeboat', team: 'lab' } };
    return { status: 200, body: { ok: true, ts: `1700000000.${String((messages += 1)).padStart(6, '0')}` } };
  };
  const reply = (response: ServerResponse, { status, body, headers }: Exclude<Answer, string>): void => {
    response
      .writeHead(status, { 'content-type': 'application/json', ...headers })
      .end(typeof body === 'string' ? body : JSON.stringify(body ?? {}));
  };
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const path = request.url ?? '';
      const recorded: Recorded = { path, headers: request.headers, body: parse(Buffer.concat(parts).toString('utf8')) };
      requests.push(recorded);
      const how = next.shift() ?? usual;
      if (how === 'hang') return;
      const answer = how === 'well' ? well(path) : how;
      recorded.status = answer.status;
      reply(response, answer);
    });
  });
  const port = await freePort();
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    answer(how, times) {
      if (times === undefined) usual = how;
      next = times === undefined ? [] : Array.from({ length: times }, () => how);
    },
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function parse(text: string): Record<string, unknown> {
  return text.startsWith('{')
    ? (JSON.parse(text) as Record<string, unknown>)
    : Object.fromEntries(new URLSearchParams(text));
}
