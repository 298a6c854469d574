// The verbs of an operator, and what the screen answers.
import { expect, type Locator, type Page } from '@playwright/test';
import { PEOPLE, type Person } from './city.ts';

/** Opens a page of the frame and waits until the browser half runs and the line to the server is open. */
export async function open(page: Page, path: string): Promise<void> {
  await page.goto(path);
  await live(page);
}

export async function live(page: Page): Promise<void> {
  await expect(page.getByTestId('live-indicator')).toHaveAttribute('data-state', 'live');
}

export async function signIn(page: Page, person: Person, password: string = PEOPLE[person].password): Promise<void> {
  await page.getByTestId('sign-in-email').fill(PEOPLE[person].email);
  await page.getByTestId('sign-in-password').fill(password);
  await page.getByTestId('sign-in-submit').click();
}

export async function signOut(page: Page): Promise<void> {
  await page.getByTestId('person-menu').locator('summary').click();
  await page.getByTestId('sign-out').click();
}

export async function search(page: Page, text: string): Promise<Locator> {
  await page.getByTestId('search-input').fill(text);
  return page.getByTestId('search-hit');
}

export const map = (page: Page) => page.getByTestId('map');
export const drawer = (page: Page) => page.getByTestId('drawer');

/** The newest command in the drawer. */
export const newest = (page: Page) => page.getByTestId('timeline').locator('> li').first();

/** Until the map's ground is there and drawn. */
export async function painted(page: Page): Promise<void> {
  if (await map(page).count()) {
    const layers = () => performance.getEntriesByType('resource').filter((r) => r.name.includes('/basemap/')).length;
    await expect.poll(() => page.evaluate(layers)).toBe(4);
  }
  const frames = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  await page.evaluate(frames);
}

/** Nothing is wider than the screen. */
export async function fits(page: Page): Promise<void> {
  const beyond = await page.evaluate(() => {
    const width = document.documentElement.clientWidth;
    return { scrolls: document.documentElement.scrollWidth > width, body: document.body.scrollWidth > width };
  });
  expect(beyond, page.url()).toEqual({ scrolls: false, body: false });
}
