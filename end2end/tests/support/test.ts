// What a test is given: a running city, pages that are watched, lights nobody else touches.
import { test as base, type BrowserContext, type BrowserContextOptions, type Page } from '@playwright/test';
import { City, LAMPS, type Person } from './city.ts';
import type { Database } from './database.ts';
import { Device } from './device.ts';
import { fleet, type Mark } from './fleet.ts';
import { Watch } from './watch.ts';

export { expect } from '@playwright/test';

export interface CityOptions {
  database: Database;
}

interface Worker extends CityOptions {
  /** 586 lamps in order and burning, and one in distress. */
  city: City;
  taken: Set<string>;
}

interface PerTest {
  /** Who the pages belong to; `null` for a stranger. */
  person: Person | null;
  watch: Watch;
  /** A watched page of someone else, in a browser context of its own. */
  anotherPage: (person: Person | null, options?: BrowserContextOptions) => Promise<Page>;
  /** A light in order and burning that no other test touches. */
  light: Mark;
}

/** Lights in the city of the tests. */
export const LIGHTS = LAMPS + 1;

export const test = base.extend<PerTest, Worker>({
  database: ['sqlite', { option: true, scope: 'worker' }],
  city: [
    async ({ database, playwright }, use, worker) => {
      const city = new City(`${worker.project.name}-${worker.workerIndex}`, database, 'open');
      try {
        await city.serve();
        const request = await playwright.request.newContext();
        const distressed = new Device(request, city, '350000000000001');
        await distressed.configure('Distress Corner');
        await distressed.reports({ power_state: 'on', brightness: 100, error_flags: ['relay_fault'] });
        await request.dispose();
        await city.populate();
        await use(city);
      } finally {
        await city.close();
      }
    },
    { scope: 'worker', timeout: 180_000 },
  ],
  taken: [async ({}, use) => use(new Set()), { scope: 'worker' }],

  person: ['operator', { option: true }],
  baseURL: async ({ city }, use) => use(city.url),
  storageState: async ({ city, person }, use) => use(await stateOf(city, person)),
  watch: async ({ city }, use) => use(new Watch(city.url)),
  page: async ({ page, watch, javaScriptEnabled }, use, info) => {
    watch.over(page);
    await use(page);
    if (info.status === 'passed') {
      // axe is a script itself.
      if (javaScriptEnabled !== false && page.url().startsWith('http')) await watch.audit(page);
      watch.verdict();
    }
  },
  anotherPage: async ({ browser, city, watch }, use) => {
    const contexts: BrowserContext[] = [];
    await use(async (person, options) => {
      const storageState = await stateOf(city, person);
      const context = await browser.newContext({ baseURL: city.url, storageState, ...options });
      contexts.push(context);
      const page = await context.newPage();
      watch.over(page);
      return page;
    });
    await Promise.all(contexts.map((context) => context.close()));
  },
  light: async ({ city, playwright, taken }, use) => {
    const request = await playwright.request.newContext({
      baseURL: city.url,
      storageState: await stateOf(city, 'viewer'),
    });
    const fit = (m: Mark) => m.indicator === 'green' && m.lamp === 'on' && !taken.has(m.id);
    let found: Mark | undefined;
    await base.expect.poll(async () => (found = (await fleet(request)).find(fit)), 'a burning lamp').toBeDefined();
    await request.dispose();
    if (!found) throw new Error('no light is left');
    taken.add(found.id);
    await use(found);
  },
});

async function stateOf(city: City, person: Person | null) {
  return { cookies: person ? [await city.session(person)] : [], origins: [] };
}
