// A city: the real server binary on its own data, its people, and if wanted a real fleet. The clock stands at late evening,
// so that lamps burn at every time of the year.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { freshDatabase, type Database, type Place } from './database.ts';
import { Process } from './process.ts';

const CHECKOUT = resolve(import.meta.dirname, '../../..');
const TARGET = process.env.CARGO_TARGET_DIR ?? join(CHECKOUT, 'target');
const SERVER = process.env.CCMS_BIN ?? join(TARGET, 'debug/ccms');
const FLEET = process.env.CCMS_FLEET_BIN ?? join(TARGET, 'debug/ccms-fleet');
const SITE = process.env.CCMS_SITE_ROOT ?? join(CHECKOUT, 'target/site');
const LOGS = join(CHECKOUT, 'end2end/test-results/run/logs');
const TIMEZONE = 'Europe/Helsinki';
const EVENING = '23:15:00';
const SERVER_STARTS_MS = 30_000;
const FLEET_STARTS_MS = 90_000;

/** Lamps in the real Helsinki. */
export const LAMPS: number = JSON.parse(
  readFileSync(join(CHECKOUT, 'cities/helsinki/lamps.geojson'), 'utf8'),
).features.length;

export const PEOPLE = {
  operator: { email: 'operator@example.org', password: 'lamps burn at night' },
  technician: { email: 'technician@example.org', password: 'up the pole at noon' },
  admin: { email: 'admin@example.org', password: 'all keys on one ring' },
  viewer: { email: 'viewer@example.org', password: 'only looking around' },
} as const;
export type Person = keyof typeof PEOPLE;

export interface Cookie {
  name: string;
  value: string;
  domain: string;
  path: string;
  expires: number;
  httpOnly: boolean;
  secure: boolean;
  sameSite: 'Lax';
}

export class City {
  url = '';
  readonly offsetSeconds = secondsUntil(EVENING, TIMEZONE);
  private listen = '127.0.0.1:0';
  private server: Process | undefined;
  private fleet: Process | undefined;
  private sessions = new Map<Person, Cookie>();
  private readonly data = mkdtempSync(join(tmpdir(), 'ccms-end2end-'));
  private readonly place: Place;
  private readonly env: NodeJS.ProcessEnv;
  private readonly name: string;
  private readonly enrolment: 'open' | 'registered';

  constructor(name: string, database: Database, enrolment: 'open' | 'registered') {
    this.name = name;
    this.enrolment = enrolment;
    this.place = freshDatabase(database);
    const inherited = Object.entries(process.env).filter(([key]) => !/^(CCMS__|CCMS_CONFIG$|LEPTOS_)/.test(key));
    this.env = {
      ...Object.fromEntries(inherited),
      CCMS__DATA_DIR: this.data,
      CCMS__SITE__ROOT: SITE,
      CCMS__CITY__NAME: 'Helsinki',
      CCMS__CITY__TIMEZONE: TIMEZONE,
      CCMS__MAP__GEOJSON_DIR: 'cities/helsinki',
      CCMS__CLOCK__OFFSET_SECONDS: String(this.offsetSeconds),
    };
    if (this.place.url) this.env.CCMS__DATABASE__URL = this.place.url;
    for (const [role, { email, password }] of Object.entries(PEOPLE)) {
      const args = ['admin', 'create', '--email', email, '--role', role, '--password-stdin'];
      execFileSync(SERVER, args, { env: this.env, cwd: CHECKOUT, input: `${password}\n`, stdio: 'pipe' });
    }
  }

  /** Starts the server; once more on the same port after it ended. */
  async serve(): Promise<void> {
    this.server = this.run('server', SERVER, ['serve', '--listen', this.listen, '--enrolment', this.enrolment]);
    const [, url] = await this.server.line(/^CCMS listens on (http:\/\/\S+)/, SERVER_STARTS_MS);
    this.url = url ?? '';
    this.listen = new URL(this.url).host;
    const ready = await fetch(`${this.url}/readyz`);
    if (!ready.ok) throw new Error(`/readyz says ${ready.status}`);
  }

  /**
   * One device for every real lamp, not all in one moment: letting a device in takes two commits, and one that was not
   * answered in 10 s asks again only after five minutes. Without faults all of them are in order, and a test makes the
   * one that is not.
   */
  async populate({ faults = false } = {}): Promise<void> {
    this.fleet = this.run('fleet', FLEET, [
      ...['run', '--city', 'helsinki', '--seed', '1', '--faults', String(faults), '--start-spread-seconds', '10'],
      ...['--server', this.url, '--state-dir', join(this.data, 'fleet')],
      ...['--clock-offset-seconds', String(this.offsetSeconds)],
    ]);
    await this.fleet.line(/^all \d+ lights online/, FLEET_STARTS_MS);
  }

  /** Ends the server without a chance to say goodbye. */
  async kill(): Promise<void> {
    await this.server?.end('SIGKILL');
  }

  async close(): Promise<void> {
    await this.fleet?.end('SIGTERM');
    await this.server?.end('SIGTERM');
    this.place.drop();
    rmSync(this.data, { recursive: true, force: true });
  }

  /** The cookie of someone who signed in without a browser. */
  async session(person: Person): Promise<Cookie> {
    const known = this.sessions.get(person);
    if (known) return known;
    const answer = await fetch(`${this.url}/ui/people/sign_in`, {
      method: 'POST',
      headers: { origin: this.url },
      body: new URLSearchParams(PEOPLE[person]),
      redirect: 'manual',
    });
    const [name, value] = (answer.headers.getSetCookie()[0] ?? '').split(';')[0]?.split('=') ?? [];
    if (!name || !value) throw new Error(`${person} could not sign in: ${answer.status} ${await answer.text()}`);
    const fixed = { domain: '127.0.0.1', path: '/', expires: -1, httpOnly: true, secure: false, sameSite: 'Lax' } as const;
    const cookie = { name, value, ...fixed };
    this.sessions.set(person, cookie);
    return cookie;
  }

  private run(part: string, command: string, args: string[]): Process {
    return new Process(command, args, { env: this.env, cwd: CHECKOUT, log: join(LOGS, `${this.name}-${part}.log`) });
  }
}

/** Seconds from now until the clock of a city shows `time` today; negative when it is past. */
function secondsUntil(time: string, timeZone: string): number {
  const local = new Date().toLocaleTimeString('en-GB', { timeZone });
  const seconds = (text: string) => text.split(':').reduce((sum, part) => sum * 60 + Number(part), 0);
  return seconds(time) - seconds(local);
}
