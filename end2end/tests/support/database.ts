// A fresh database of each kind, gone after use.
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';

export type Database = 'sqlite' | 'postgres';

export interface Place {
  /** `undefined`: the server's own default, SQLite in its data directory. */
  url: string | undefined;
  drop(): void;
}

export function freshDatabase(kind: Database): Place {
  if (kind === 'sqlite') return { url: undefined, drop: () => {} };
  const server = process.env.CCMS_TEST_POSTGRES_URL;
  if (!server) throw new Error('CCMS_TEST_POSTGRES_URL is not set: use scripts/test, or --project=sqlite');
  const name = `ccms_end2end_${randomBytes(6).toString('hex')}`;
  const sql = (text: string) => execFileSync('psql', ['-qAtX', '-d', server, '-c', text], { stdio: 'pipe' });
  sql(`CREATE DATABASE ${name}`);
  const url = new URL(server);
  url.pathname = `/${name}`;
  return { url: url.href, drop: () => sql(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`) };
}
