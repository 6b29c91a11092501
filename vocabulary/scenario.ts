/** The scenarios that there are, by name. */
export const scenarioNames = ['database-corruption'] as const;
export type ScenarioName = (typeof scenarioNames)[number];
