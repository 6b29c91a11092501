import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import type { Alert, AlertsNow } from '../vocabulary/alert.js';
import type { Declared } from '../vocabulary/declaration.js';
import type { IncidentState } from '../vocabulary/incident.js';
import type { IncidentNews } from '../vocabulary/news.js';
import type { Abort, Close, Decision, Note } from '../vocabulary/question.js';

/**
 * How the client talks with an incident. Every update has a synchronous validator: what it refuses leaves no trace in
 * history.
 */

export const stateQuery = defineQuery<IncidentState>('state');
/** Returns when the request was checked: nothing has been changed before that. */
export const declaredUpdate = defineUpdate<Declared>('declared');
export const decideUpdate = defineUpdate<string, [Decision]>('decide');
export const noteUpdate = defineUpdate<string, [Note]>('note');
export const abortUpdate = defineUpdate<string, [Abort]>('abort');
export const closeUpdate = defineUpdate<string, [Close]>('close');

export const raiseSignal = defineSignal<[Alert]>('raise');
/** `text`: what fixed it. */
export const resolveSignal = defineSignal<[{ key: string; text?: string }]>('resolve');
/** How an incident stands, to whoever tells people of it. */
export const newsSignal = defineSignal<[IncidentNews]>('news');
export const alertsQuery = defineQuery<AlertsNow>('alerts');
