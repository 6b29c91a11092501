import pg from 'pg';

/** What a running server says about itself. Each answer may be missing: an ordinary role may not see them all. */
export interface ServerAnswers {
  database: string;
  superuser: boolean;
  port?: number;
  dataDirectory?: string;
  configFile?: string;
  socketDirectory?: string;
  /** At most five, most rows first, by the server's own estimate. */
  tables: string[];
}

/**
 * Asks the server behind a connection string; undefined when it does not answer within a few seconds. Says in `notes`
 * how it went, without the string.
 */
export async function askServer(connectionString: string, notes: string[]): Promise<ServerAnswers | undefined> {
  let client: pg.Client | undefined;
  try {
    client = new pg.Client({
      connectionString,
      connectionTimeoutMillis: 3000,
      query_timeout: 5000,
      application_name: 'lifeboat init',
    });
    // A connection that breaks later must not end the process.
    client.on('error', () => undefined);
    await client.connect();
    const { rows } = await client.query<{ database: string; superuser: boolean }>(
      'select current_database() as database, rolsuper as superuser from pg_roles where rolname = current_user',
    );
    const [row] = rows;
    const answers: ServerAnswers = {
      database: row?.database ?? 'postgres',
      superuser: row?.superuser ?? false,
      tables: await largestTables(client),
    };
    const settings = await readSettings(client);
    if (settings.port) answers.port = Number(settings.port);
    if (settings.data_directory) answers.dataDirectory = settings.data_directory;
    if (settings.config_file) answers.configFile = settings.config_file;
    // An abstract socket (@) cannot be named in a plan.
    const socket = settings.unix_socket_directories?.split(',')[0]?.trim();
    if (socket?.startsWith('/')) answers.socketDirectory = socket;
    notes.push(
      `DATABASE_URL connects to database "${answers.database}"${answers.superuser ? '' : ', as a role that is not a superuser: Lifeboat will need one (user: postgres in the plan)'}`,
    );
    return answers;
  } catch (error) {
    const code = (error as { code?: unknown }).code;
    notes.push(
      `DATABASE_URL does not connect${typeof code === 'string' ? ` (${code})` : ''}: what the server would say was taken from conventions; check it`,
    );
    return undefined;
  } finally {
    await client?.end().catch(() => undefined);
  }
}

async function readSettings(client: pg.Client): Promise<Record<string, string | undefined>> {
  // pg_settings leaves out what the role may not see, where SHOW would fail.
  const { rows } = await client.query<{ name: string; setting: string }>(
    `select name, setting from pg_settings where name in ('port', 'data_directory', 'config_file', 'unix_socket_directories')`,
  );
  return Object.fromEntries(rows.map(({ name, setting }) => [name, setting]));
}

async function largestTables(client: pg.Client): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(`
    select case when n.nspname = 'public' then c.relname else n.nspname || '.' || c.relname end as name
    from pg_class c join pg_namespace n on n.oid = c.relnamespace left join pg_stat_user_tables s on s.relid = c.oid
    where c.relkind in ('r', 'p') and not c.relispartition and n.nspname !~ '^(pg_|information_schema$|lifeboat$)'
    order by greatest(c.reltuples, s.n_live_tup, 0) desc, name limit 5`);
  return rows.map(({ name }) => name);
}
