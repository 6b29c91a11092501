import { defineSearchAttributeKey, type SearchAttributePair } from '@temporalio/common';
import type { IncidentInput } from '../vocabulary/declaration.js';
import type { IncidentState, Phase } from '../vocabulary/incident.js';
import { searchAttributeNames } from '../vocabulary/search-attributes.js';

const keyword = (name: keyof typeof searchAttributeNames) =>
  defineSearchAttributeKey(searchAttributeNames[name], 'KEYWORD');

export const phaseKey = keyword('phase');

/** By what an incident is found in Temporal: typed, and never encrypted, so names only. */
export const incidentAttributes = (
  { system, scenario, mode }: IncidentInput,
  phase: Phase = 'open',
): SearchAttributePair[] => [
  { key: keyword('system'), value: system },
  { key: keyword('scenario'), value: scenario },
  { key: phaseKey, value: phase },
  { key: defineSearchAttributeKey(searchAttributeNames.drill, 'BOOL'), value: mode !== 'real' },
];

/** What stays with it in all of its runs. */
export const identityAttributes = (
  { id, declaredAt, database }: Pick<IncidentState, 'id' | 'declaredAt' | 'database'>,
  host: string,
): SearchAttributePair[] => [
  { key: keyword('incident'), value: id },
  { key: defineSearchAttributeKey(searchAttributeNames.declaredAt, 'DATETIME'), value: new Date(declaredAt) },
  { key: keyword('component'), value: database },
  { key: keyword('host'), value: host },
];
