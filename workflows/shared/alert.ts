/** Placeholder until the alerts are merged. */
export interface Alert {
  key: string;
  severity: 'critical' | 'warning';
  title: string;
  text: string;
}
export const raise = (_system: string, _alert: Alert): Promise<void> => Promise.resolve();
export const resolve = (_system: string, _key: string, _text: string): Promise<void> => Promise.resolve();
