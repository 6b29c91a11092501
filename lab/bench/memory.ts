import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { median, type Span } from './spans.js';

/** Resident memory of some processes, asked a few times a second. */
export interface MemoryWatch {
  /**
   * Of one process, in MB: the most that it had, and the medians during the first, the middle and the last of these
   * times.
   */
  within(name: string, times: Span[]): { max: number; first: number; middle: number; last: number };
  stop(): void;
}

export function watchMemory(pids: Record<string, number>): MemoryWatch {
  const samples: { name: string; at: number; megabytes: number }[] = [];
  const timer = setInterval(() => {
    for (const [name, pid] of Object.entries(pids)) {
      const megabytes = residentMegabytes(pid);
      if (megabytes !== undefined) samples.push({ name, at: Date.now(), megabytes });
    }
  }, 250);
  return {
    within(name, times) {
      const during = (time: Span) =>
        samples
          .filter((one) => one.name === name && one.at >= time.from && one.at <= time.to)
          .map(({ megabytes }) => megabytes);
      const [first, middle, last] = [0, Math.floor(times.length / 2), times.length - 1].map((at) =>
        median(during(times[at]!)),
      ) as [number, number, number];
      return { max: Math.max(...times.flatMap(during)), first, middle, last };
    },
    stop: () => {
      clearInterval(timer);
    },
  };
}

function residentMegabytes(pid: number): number | undefined {
  try {
    const kilobytes = existsSync('/proc/self/status')
      ? /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
      : execFileSync('ps', ['-o', 'rss=', '-p', String(pid)], { encoding: 'utf8' });
    return kilobytes === undefined ? undefined : (Number(kilobytes) * 1024) / 1e6;
  } catch {
    return undefined;
  }
}
