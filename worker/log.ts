/** What happens in a process of Lifeboat: a line to read where a person looks on, JSON for whoever collects logs. */

export type Level = 'info' | 'warning' | 'error';

/** What a line is about; absent: the process itself. */
export interface About {
  incident?: string;
  step?: string;
  component?: string;
}

export type Say = (line: string, level?: Level, about?: About) => void;

/** `what`: `agent of db1`; `of`: what is the same in every line of the process. */
export function logOf(what: string, of: { system: string; host?: string }): Say {
  const forPeople = process.stderr.isTTY;
  return (line, level = 'info', about = {}) => {
    const time = new Date().toISOString();
    const names = Object.values(about).filter((one) => one !== undefined);
    if (forPeople) console.error(`${time} ${what}: ${names.length > 0 ? `${names.join(' ')}: ` : ''}${line}`);
    else console.error(JSON.stringify({ time, level, process: what, ...of, ...about, message: line }));
  };
}
