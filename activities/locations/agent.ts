import { readFileSync } from 'node:fs';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { Socket } from 'node:net';
import { createSecureContext, rootCertificates } from 'node:tls';

/**
 * Connections to an HTTP service that are cut when no byte moves on them for too long, whichever way: a vendor's client
 * then sees an error where it would wait for ever. `caFile`: an authority to trust beside those that the system knows.
 */
export function agentFor(endpoint: string | undefined, caFile: string | undefined, stall: number): HttpAgent {
  const options = { keepAlive: true, maxSockets: 16, timeout: stall };
  if (endpoint?.startsWith('http://')) {
    const agent = new HttpAgent(options);
    return watched(agent, stall);
  }
  // Made once: every connection would read all authorities anew, which takes longer than the rest of its beginning.
  const secureContext = caFile
    ? createSecureContext({ ca: [...rootCertificates, readFileSync(caFile, 'utf8')] })
    : createSecureContext();
  return watched(new HttpsAgent({ ...options, secureContext }), stall);
}

type Connecting = { createConnection: (...args: unknown[]) => Socket };

function watched<A extends HttpAgent>(agent: A, stall: number): A {
  const connecting = agent as unknown as Connecting;
  const connect = connecting.createConnection.bind(agent);
  connecting.createConnection = (...args) => {
    const socket = connect(...args);
    // Node counts what the system takes of a large write, too: a slow connection is not a dead one.
    socket.setTimeout(stall);
    socket.on('timeout', () => socket.destroy(new StalledError(stall, othersMove(agent, socket))));
    return socket;
  };
  return agent;
}

/**
 * Other connections that had answers and are in use have moved bytes since, or they would have been cut before this
 * one.
 */
function othersMove(agent: HttpAgent, socket: Socket): boolean {
  const inUse = Object.values(agent.sockets).flatMap((sockets) => sockets ?? []);
  return inUse.some((other) => other !== socket && !other.destroyed && other.bytesRead > 0);
}

/**
 * Vendors' clients try again what ends with ETIMEDOUT: good for one dead connection among many, and no use when the
 * whole service hangs.
 */
export class StalledError extends Error {
  readonly code: string;
  constructor(milliseconds: number, alone = false) {
    super(`no byte moved for ${Math.round(milliseconds / 1000)} s`);
    this.name = 'StalledError';
    this.code = alone ? 'ETIMEDOUT' : 'ESTALLED';
  }
}
