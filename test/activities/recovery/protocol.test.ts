import { expect, test } from 'vitest';
import type { HostContext } from '../../../activities/context.js';
import { checkRequest } from '../../../activities/recovery/check-request.js';
import { protocol } from '../../../vocabulary/names.js';

test('an agent refuses the request of an older control worker, before it looks at anything', async () => {
  const asked = checkRequest({} as HostContext).execute({ database: 'main', incident: 'one', protocol: protocol - 1 });
  await expect(asked).rejects.toMatchObject({
    type: 'ToolMissing',
    message: expect.stringContaining('the control worker runs an older Lifeboat than the agent'),
    details: [{ hint: expect.stringContaining('lifeboat worker') }],
  });
});
