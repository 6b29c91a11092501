import type { MetricGauge } from '@temporalio/common';
import { type MetricsExporterConfig, Runtime } from '@temporalio/worker';
import { CannotStart } from './cannot-start.js';

/**
 * What Prometheus reads of a worker, where `LIFEBOAT_METRICS` says at which address: what the SDK measures of itself,
 * and what people are woken for.
 */

/** `127.0.0.1:9464`; undefined where nobody asked. Throws {@link CannotStart} for what is no address. */
export function metricsAddress(): string | undefined {
  const address = process.env['LIFEBOAT_METRICS'];
  if (!address) return undefined;
  if (/^(\[[\da-fA-F:]+\]|[\d.]+):\d{1,5}$/.test(address)) return address;
  throw new CannotStart(
    `LIFEBOAT_METRICS is no address: ${address}`,
    'Give IP and port at which Prometheus asks: LIFEBOAT_METRICS=127.0.0.1:9464',
  );
}

/** For the agents of one machine, each at a port of its own: the one that comes so many after the control worker's. */
export function metricsOf(after: number): { LIFEBOAT_METRICS?: string } {
  const [, ip, port] = /^(.*):(\d+)$/.exec(metricsAddress() ?? '') ?? [];
  return port === undefined ? {} : { LIFEBOAT_METRICS: `${ip}:${Number(port) + after}` };
}

/** For the Temporal SDK's runtime; nothing where nobody asked. */
export function metricsOptions(): { metrics?: MetricsExporterConfig } {
  const bindAddress = metricsAddress();
  return bindAddress === undefined
    ? {}
    : { metrics: { prometheus: { bindAddress, countersTotalSuffix: true, unitSuffix: true } } };
}

export interface Gauges {
  set(name: keyof typeof gauges, value: number, tags: Record<string, string>): void;
}

const gauges = {
  lifeboat_incidents_open: 'Incidents that recover or wait for a person now',
  lifeboat_incident_rto_left_seconds:
    'Time left until the RTO of the open incident; negative: missed. No value while none is open',
  lifeboat_questions_open: 'Questions of incidents that nobody has answered yet',
  lifeboat_alerts_open: 'Alerts that are open',
  lifeboat_database_primary:
    '1 where the server of the database is a primary on this host, 0 where it is a standby. No value while it does not answer',
  lifeboat_archive_age_seconds: 'How long ago the last segment of WAL was archived',
  lifeboat_canary_age_seconds: 'How long ago the canary has beaten',
  lifeboat_backup_age_seconds: 'The age of the newest sound backup at a location',
} as const;

/** To be made when the runtime is there. */
export function gaugesOf(system: string): Gauges {
  const meter = Runtime.instance().metricMeter.withTags({ system });
  const made = new Map<string, MetricGauge>();
  return {
    set(name, value, tags) {
      const gauge = made.get(name) ?? meter.createGauge(name, 'float', undefined, gauges[name]);
      made.set(name, gauge);
      gauge.set(value, tags);
    },
  };
}
