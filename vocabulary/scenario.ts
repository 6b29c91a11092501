/** The scenarios that there are, by name. */
export const scenarioNames = ['database-corruption'] as const;
export type ScenarioName = (typeof scenarioNames)[number];

export const corruption: ScenarioName = 'database-corruption';
/** What to type when a database is damaged, or lost what it had: to recover it, and to rehearse that. */
export const recoverCommand = `lifeboat start ${corruption}`;
export const drillCommand = `lifeboat drill start ${corruption}`;
