/** By what incidents are found in Temporal. Never a secret: they are not encrypted. */

export const searchAttributeNames = {
  system: 'LifeboatSystem',
  scenario: 'LifeboatScenario',
  phase: 'LifeboatPhase',
  drill: 'LifeboatDrill',
  incident: 'LifeboatIncident',
  declaredAt: 'LifeboatDeclaredAt',
  component: 'LifeboatComponent',
  host: 'LifeboatHost',
} as const;

/** As `temporal operator search-attribute create --type` takes them. */
export const searchAttributeTypes = {
  LifeboatSystem: 'Keyword',
  LifeboatScenario: 'Keyword',
  LifeboatPhase: 'Keyword',
  LifeboatDrill: 'Bool',
  LifeboatIncident: 'Keyword',
  LifeboatDeclaredAt: 'Datetime',
  LifeboatComponent: 'Keyword',
  LifeboatHost: 'Keyword',
} as const satisfies Record<(typeof searchAttributeNames)[keyof typeof searchAttributeNames], string>;

/** As the options of `temporal server start-dev`. */
export const searchAttributeOptions: readonly string[] = Object.entries(searchAttributeTypes).flatMap(
  ([name, type]) => ['--search-attribute', `${name}=${type}`],
);
