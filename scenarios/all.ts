import type { ScenarioName } from '../vocabulary/scenario.js';
import { databaseCorruption } from './database-corruption.js';
import type { Scenario } from './scenario.js';

/** Every scenario that there is. */
export const scenarios: Readonly<Record<ScenarioName, Scenario>> = {
  'database-corruption': databaseCorruption as Scenario,
};
