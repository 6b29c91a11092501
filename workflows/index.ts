/** Every workflow of Lifeboat; the bundle is made from here. */
export { alerts, testAlerts } from './alerts.js';
export { backup, listBackups, verifyBackups } from './backup.js';
export { databaseCorruption } from './database-corruption.js';
export { doctor } from './doctor.js';
export { resume } from './resume.js';
export { scheduledDrill } from './scheduled-drill.js';
