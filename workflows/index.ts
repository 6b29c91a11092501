/** Every workflow of Lifeboat; the bundle is made from here. */
export { alerts, testAlerts } from './alerts.js';
export { backup } from './backup.js';
export { communications } from './communications.js';
export { databaseCorruption } from './scenarios.js';
export { doctor } from './doctor.js';
export { cleanUpBackups, listBackups, verifyBackups } from './look-at-backups.js';
export { restoreBackup } from './restore-backup.js';
export { resume } from './resume.js';
export { scheduledDrill } from './scheduled-drill.js';
export { scheduledWork } from './scheduled-work.js';
export { backupVerification, restoreTest } from './test-restores.js';
