import { scenarios } from '../scenarios/all.js';
import { workflowOf } from './scenario.js';

/** The workflow of each scenario, under the name that vocabulary/names.ts gives it (`workflowTypeOf`). */
export const databaseCorruption = workflowOf(scenarios['database-corruption']);
