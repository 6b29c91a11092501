import { createHash } from 'node:crypto';
import { join } from 'node:path';

/** Bytes of a path that a socket may have, with the 0 that ends it. Source: unix(7), sun_path. */
const limit = 108;

/**
 * Where a server of our own listens, reached by its socket alone: in the state directory, which the owner of the data
 * can enter (TMPDIR may be root's own: libpam-tmpdir), and nobody else can write to. Its path may be too long for a
 * socket: then below /tmp, where whoever makes it has to look who made what is there. The same for the same `what`,
 * whatever the environment says. `socket`: the longest name of a socket in it.
 */
export function socketDirectory(state: string, what: string, socket = '.s.PGSQL.65535'): string {
  const unique = createHash('sha256').update(what).digest('hex').slice(0, 12);
  const own = join(state, `socket-${unique}`);
  return Buffer.byteLength(join(own, socket)) < limit ? own : join('/tmp', `lifeboat-${unique}`);
}
