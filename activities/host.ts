import { cleanUp } from './backups/clean-up.js';
import { lookForTrouble } from './alerts/trouble.js';
import { listBackups, restoreBackup, takeBackup, testRestore, verifyBackups } from './backups/providers.js';
import { listCandidates } from './recovery/list-candidates.js';
import { protect } from './backups/protect.js';
import { discardCopy, stopCopy } from './backups/copies.js';
import { putOneAway, putOneBack, settleOne } from './recovery/one-database.js';
import { restoreBeside } from './recovery/restore-beside.js';
import { handOverWal, lookAtWal } from './backups/standby-wal.js';
import { activity } from './capability.js';
import type { HostContext } from './context.js';
import { hostFacts } from './doctor/host-facts.js';
import { assess } from './recovery/assess.js';
import { behindFence } from './postgres/behind-fence.js';
import { checkRequest } from './recovery/check-request.js';
import { copyFigures } from './postgres/copy-figures.js';
import { saveEvidence } from './postgres/evidence.js';
import { lookAtNeighbours } from './recovery/neighbours.js';
import { openDatabase, release } from './postgres/open.js';
import { putBack, putInPlace, settlePlace } from './recovery/put-in-place.js';
import { repair } from './postgres/repair.js';
import { observeDatabase } from './postgres/role.js';
import { rollBackPrepared } from './recovery/roll-back-prepared.js';
import { rebuildStandby } from './recovery/rebuild-standby.js';
import { attestStopped, stopWrites } from './postgres/stop-writes.js';
import { verifyRestored } from './recovery/verify-restored.js';
import { startService, stopService } from './services/control.js';
import { watchDatabase } from './services/watch-database.js';

/**
 * Everything that the agent of a host can do: one line for each capability. Names and inputs are public; commands stay
 * on the host.
 */
export function createHostActivities(context: HostContext) {
  return {
    observeDatabase: activity(observeDatabase(context)),
    checkRequest: activity(checkRequest(context)),
    stopService: activity(stopService(context)),
    startService: activity(startService(context)),
    watchDatabase: activity(watchDatabase(context)),
    stopWrites: activity(stopWrites(context)),
    behindFence: activity(behindFence(context)),
    attestStopped: activity(attestStopped(context)),
    settlePlace: activity(settlePlace(context)),
    saveEvidence: activity(saveEvidence(context)),
    assess: activity(assess(context)),
    repair: activity(repair(context)),
    listCandidates: activity(listCandidates(context)),
    lookAtWal: activity(lookAtWal(context)),
    handOverWal: activity(handOverWal(context)),
    restoreBeside: activity(restoreBeside(context)),
    verifyRestored: activity(verifyRestored(context)),
    rollBackPrepared: activity(rollBackPrepared(context)),
    lookAtNeighbours: activity(lookAtNeighbours(context)),
    putOneBack: activity(putOneBack(context)),
    putOneAway: activity(putOneAway(context)),
    settleOne: activity(settleOne(context)),
    putInPlace: activity(putInPlace(context)),
    putBack: activity(putBack(context)),
    copyFigures: activity(copyFigures(context)),
    openDatabase: activity(openDatabase(context)),
    protect: activity(protect(context)),
    rebuildStandby: activity(rebuildStandby(context)),
    discardCopy: activity(discardCopy(context)),
    stopCopy: activity(stopCopy(context)),
    release: activity(release(context)),
    takeBackup: activity(takeBackup(context)),
    verifyBackups: activity(verifyBackups(context)),
    listBackups: activity(listBackups(context)),
    cleanUp: activity(cleanUp(context)),
    testRestore: activity(testRestore(context)),
    restoreBackup: activity(restoreBackup(context)),
    lookForTrouble: activity(lookForTrouble(context)),
    hostFacts: activity(hostFacts(context)),
  };
}

export type HostActivities = ReturnType<typeof createHostActivities>;
