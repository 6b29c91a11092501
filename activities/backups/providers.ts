import { recoverCommand } from '../../vocabulary/scenario.js';
import { type BackupKind, kindOf, type BackupListing } from '../../vocabulary/backup.js';
import { type Capability, looking } from '../capability.js';
import type { HostContext } from '../context.js';
import { failure } from '../errors.js';
import type { BackupResult, TakeRequest } from '../../vocabulary/backup-work.js';
import { code } from './code/code.js';
import { pageOf } from './listing-page.js';
import { files } from './files/files.js';
import { redis } from './redis/redis.js';
import { logical } from './logical/provider.js';
import { physical } from './physical.js';
import type { BackupProvider } from './provider.js';

/** Every kind of backup: one line for each. */
const providers: Partial<Record<BackupKind, BackupProvider>> = { physical, logical, files, redis, code };

export function providerOf(kind: BackupKind): BackupProvider {
  const found = providers[kind];
  if (!found)
    throw failure('BadRequest', `there are no ${kind} backups`, 'Is Lifeboat of the same version on this host?');
  return found;
}

export const takeBackup = (context: HostContext): Capability<TakeRequest, BackupResult> => ({
  rehearse: (input) => providerOf(kindOf(input.type)).take(context).rehearse(input),
  execute: (input) => providerOf(kindOf(input.type)).take(context).execute(input),
});

export const listBackups = (context: HostContext) =>
  looking(
    async ({
      kind,
      component,
      after,
    }: {
      kind: BackupKind;
      component: string;
      after?: string;
    }): Promise<BackupListing> => pageOf(await providerOf(kind).list(context, component), after),
  );

type OfKind<Input> = Input & { kind: BackupKind };

/** One activity, whatever the kind: its input says which provider works. */
function ofKind<Input, Result>(
  context: HostContext,
  pick: (provider: BackupProvider) => ((context: HostContext) => Capability<Input, Result>) | undefined,
): Capability<OfKind<Input>, Result> {
  const of = (kind: BackupKind): Capability<Input, Result> => {
    const found = pick(providerOf(kind))?.(context);
    if (found) return found;
    throw failure('BadRequest', `${kind} backups are not restored so`, `A physical one: ${recoverCommand} --to ID`);
  };
  return { rehearse: (input) => of(input.kind).rehearse(input), execute: (input) => of(input.kind).execute(input) };
}

export const verifyBackups = (context: HostContext) => ofKind(context, ({ verify }) => verify);
export const testRestore = (context: HostContext) => ofKind(context, (provider) => provider.testRestore);
export const restoreBackup = (context: HostContext) => ofKind(context, (provider) => provider.restore);
