import type { NativeConnection } from '@temporalio/worker';
import { searchAttributeTypes } from '../vocabulary/search-attributes.js';

/** temporal.api.enums.v1.IndexedValueType */
const indexed = { Keyword: 2, Bool: 5, Datetime: 6 } as const;

/**
 * Registers Lifeboat's search attributes where they are missing. Throws when they are missing and may not be
 * registered.
 */
export async function ensureSearchAttributes(connection: NativeConnection, namespace: string): Promise<void> {
  const wanted = Object.fromEntries(Object.entries(searchAttributeTypes).map(([name, type]) => [name, indexed[type]]));
  const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
  const missing = Object.fromEntries(Object.entries(wanted).filter(([name]) => !(name in customAttributes)));
  if (Object.keys(missing).length === 0) return;
  try {
    await connection.operatorService.addSearchAttributes({ namespace, searchAttributes: missing });
  } catch (error) {
    if (/already exists/i.test((error as Error).message)) return;
    throw new Error(
      `search attributes ${Object.keys(missing).join(', ')} are missing in namespace ${namespace}, and may not be created from here: create them with: temporal operator search-attribute create`,
    );
  }
}
