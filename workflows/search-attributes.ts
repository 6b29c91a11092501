import { defineSearchAttributeKey, type SearchAttributePair } from '@temporalio/common';
import { searchAttributeNames } from '../vocabulary/names.js';
import type { IncidentInput } from '../vocabulary/declaration.js';
import type { Phase } from '../vocabulary/incident.js';

export const phaseKey = defineSearchAttributeKey(searchAttributeNames.phase, 'KEYWORD');

/** By what an incident is found in Temporal: typed, and never encrypted, so names only. */
export const incidentAttributes = ({ system, scenario, mode }: IncidentInput, phase: Phase = 'open'): SearchAttributePair[] => [
  { key: defineSearchAttributeKey(searchAttributeNames.system, 'KEYWORD'), value: system },
  { key: defineSearchAttributeKey(searchAttributeNames.scenario, 'KEYWORD'), value: scenario },
  { key: phaseKey, value: phase },
  { key: defineSearchAttributeKey(searchAttributeNames.drill, 'BOOL'), value: mode !== 'real' },
];
