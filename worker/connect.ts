import { loadClientConnectConfig } from '@temporalio/envconfig';
import { NativeConnection, type NativeConnectionOptions } from '@temporalio/worker';

/** Where Temporal is: Temporal's own settings (TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, TLS, API key, temporal.toml). */
export function connectionSettings(): { options: NativeConnectionOptions; namespace: string; address: string } {
  const { connectionOptions, namespace } = loadClientConnectConfig();
  const address = connectionOptions.address ?? 'localhost:7233';
  return { options: connectionOptions, namespace: namespace ?? 'default', address };
}

/**
 * Connects to Temporal; says in one line when it cannot, and keeps trying until `signal` says stop. Undefined: it was
 * told to stop.
 */
export async function connectPatiently(
  signal: AbortSignal,
  say: (line: string) => void,
): Promise<NativeConnection | undefined> {
  const { options, address } = connectionSettings();
  for (let attempt = 0; !signal.aborted; attempt += 1) {
    try {
      return await NativeConnection.connect(options);
    } catch (error) {
      if (attempt % 10 === 0)
        say(
          `Temporal does not answer at ${address} (${firstLine(error)}). Trying again until it does; start one here with: lifeboat up`,
        );
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, Math.min(3000, 500 * 2 ** attempt));
        const woken = () => {
          clearTimeout(timer);
          resolve();
        };
        signal.addEventListener('abort', woken, { once: true });
      });
    }
  }
  return undefined;
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0]!.slice(0, 120);
}
