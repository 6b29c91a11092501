import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import type { Cluster } from './cluster.js';

/**
 * A small shop: the data that disasters of the lab happen to. Its tables belong to `app`, as those of an application
 * do.
 */
const schema = `
CREATE TABLE customers (id serial PRIMARY KEY, name text NOT NULL, email text NOT NULL UNIQUE, created_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE products (id serial PRIMARY KEY, name text NOT NULL, price numeric(10,2) NOT NULL CHECK (price >= 0));
CREATE TABLE orders (
  id bigserial PRIMARY KEY,
  customer_id integer NOT NULL REFERENCES customers,
  product_id integer NOT NULL REFERENCES products,
  quantity integer NOT NULL,
  total numeric(12,2) NOT NULL,
  status text NOT NULL DEFAULT 'new',
  created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX orders_customer ON orders (customer_id);
CREATE INDEX orders_created ON orders (created_at);
CREATE TABLE payments (id bigserial PRIMARY KEY, order_id bigint NOT NULL REFERENCES orders ON DELETE CASCADE, amount numeric(12,2) NOT NULL, paid_at timestamptz NOT NULL DEFAULT now());
CREATE INDEX payments_order ON payments (order_id);
CREATE TABLE service_health (id integer PRIMARY KEY DEFAULT 1 CHECK (id = 1), checked_at timestamptz NOT NULL DEFAULT now());
INSERT INTO service_health DEFAULT VALUES;
`;

export const tables = ['customers', 'products', 'orders', 'payments'] as const;

/** Makes the tables and fills them: `rows` orders, each with a payment, and a tenth as many customers. */
export async function createShop(cluster: Cluster, rows: number): Promise<void> {
  await cluster.asApp(schema);
  await fill(cluster, rows);
  // So that counts by estimate and plans of queries are those of a database in use.
  await cluster.sql('VACUUM ANALYZE');
}

/** Adds so many orders (and customers and payments for them) in one go. The same every time. */
async function fill(cluster: Cluster, rows: number): Promise<void> {
  const customers = Math.max(10, Math.ceil(rows / 10));
  await cluster.asApp(`
    INSERT INTO products (name, price) SELECT 'product ' || n, (n * 37 % 900 + 100) / 10.0 FROM generate_series(1, 100) n
      WHERE NOT EXISTS (SELECT FROM products);
    INSERT INTO customers (name, email)
      SELECT 'customer ' || n, 'customer' || n || '@example.com'
      FROM generate_series((SELECT coalesce(max(id), 0) + 1 FROM customers), (SELECT coalesce(max(id), 0) + ${customers} FROM customers)) n;
    WITH placed AS (
      INSERT INTO orders (customer_id, product_id, quantity, total, created_at)
        SELECT 1 + n % ${customers}, 1 + n % 100, 1 + n % 5, (1 + n % 5) * 9.90, now() - make_interval(secs => ${rows} - n)
        FROM generate_series(1, ${rows}) n
        RETURNING id, total)
    INSERT INTO payments (order_id, amount) SELECT id, total FROM placed;
  `);
}

export async function countOrders(cluster: Cluster): Promise<number> {
  const [row] = await cluster.sql<{ n: number }>('SELECT count(*)::int AS n FROM orders');
  return row!.n;
}

/** A row that the database acknowledged, and when it did. */
export interface Written {
  id: number;
  at: Date;
}

const placeOrder = `INSERT INTO orders (customer_id, product_id, quantity, total) VALUES (1 + $1::int % 10, 1 + $1::int % 100, 1, 9.90) RETURNING id::int, created_at AS at`;

/** Writes so many orders one by one, each a transaction of its own. */
export async function burst(cluster: Cluster, count: number): Promise<Written[]> {
  const client = await connect(cluster);
  try {
    const written: Written[] = [];
    for (let n = 0; n < count; n += 1) written.push((await client.query<Written>(placeOrder, [n])).rows[0]!);
    return written;
  } finally {
    await client.end();
  }
}

export interface Writer {
  /** Every order that was acknowledged: what a recovery is measured by. */
  written: Written[];
  /** How many were refused or lost their connection. */
  failed: number;
  stop(): Promise<void>;
}

/** Goes on writing an order every few milliseconds, through failures of the database, until it is stopped. */
export function writeContinuously(cluster: Cluster, everyMs = 50): Writer {
  const end = new AbortController();
  const writer: Writer = {
    written: [],
    failed: 0,
    async stop() {
      end.abort();
      await running;
    },
  };
  const running = (async () => {
    let client: pg.Client | undefined;
    for (let n = 0; !end.signal.aborted; n += 1) {
      try {
        client ??= await connect(cluster);
        writer.written.push((await client.query<Written>(placeOrder, [n])).rows[0]!);
      } catch {
        writer.failed += 1;
        await client?.end().catch(() => undefined);
        client = undefined;
      }
      await pause(everyMs, undefined, { signal: end.signal }).catch(() => undefined);
    }
    await client?.end().catch(() => undefined);
  })();
  return writer;
}

async function connect(cluster: Cluster): Promise<pg.Client> {
  const client = new pg.Client({ ...cluster.appConnection(), query_timeout: 5000 });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}
