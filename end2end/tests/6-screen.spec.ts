// What only the browser decides: theme, width, keys. Seen once, on SQLite; pictures for eyes go to test-results/pictures.
import { join } from 'node:path';
import type { Page } from '@playwright/test';
import { drawer, fits, map, open, painted } from './support/screen.ts';
import { expect, test } from './support/test.ts';

const picture = async (page: Page, name: string) => {
  await painted(page);
  await page.screenshot({ path: join(import.meta.dirname, `../test-results/pictures/${name}.png`) });
};
const theme = (page: Page) => page.locator('html');

test.describe('@browser the look', () => {
  test('dark and light, chosen and remembered', async ({ page, watch, light }) => {
    await open(page, '/map');
    await picture(page, 'map-dark');
    await open(page, `/map?light=${light.id}`);
    await expect(drawer(page).getByTestId('light-id')).toHaveText(light.id);
    await picture(page, 'drawer-dark');
    await watch.audit(page);
    const dark = await background(page);
    await page.getByTestId('person-menu').locator('summary').click();
    await page.getByTestId('theme-light').check({ force: true });
    await expect(theme(page)).toHaveAttribute('data-theme', 'light');
    await expect.poll(() => background(page)).not.toBe(dark);
    const light_ = await background(page);
    await open(page, '/map');
    await expect(theme(page)).toHaveAttribute('data-theme', 'light');
    expect(await background(page)).toBe(light_);
    await picture(page, 'map-light');
    await open(page, '/lights');
    await picture(page, 'lights-light');
  });

  test('the system decides until a person does', async ({ page }) => {
    await page.emulateMedia({ colorScheme: 'light' });
    await open(page, '/map');
    const light = await background(page);
    await page.emulateMedia({ colorScheme: 'dark' });
    await expect.poll(() => background(page)).not.toBe(light);
  });

  test('colours for colour-blind eyes', async ({ page }) => {
    await open(page, '/map');
    await page.getByTestId('person-menu').locator('summary').click();
    await page.getByTestId('palette-toggle').check();
    await expect(theme(page)).toHaveAttribute('data-palette', 'colour-blind');
    await open(page, '/lights');
    await expect(theme(page)).toHaveAttribute('data-palette', 'colour-blind');
  });
});

test.describe('@browser a phone', () => {
  test.use({ viewport: { width: 360, height: 740 }, hasTouch: true });

  test('every page fits into 360 px', async ({ page, watch, light, anotherPage }) => {
    for (const [path, name] of [
      ['/map', 'map-360'],
      [`/map?light=${light.id}`, 'drawer-360'],
      ['/lights', 'lights-360'],
      ['/devices', 'devices-360'],
    ] as const) {
      await open(page, path);
      await fits(page);
      await watch.audit(page);
      await picture(page, name);
    }
    const stranger = await anotherPage(null, { viewport: { width: 360, height: 740 } });
    await stranger.goto('/sign-in');
    await fits(stranger);
    await picture(stranger, 'sign-in-360');
  });
});

test.describe('@browser wide', () => {
  test.use({ viewport: { width: 3840, height: 2160 } });

  test('the map fills a 4K screen', async ({ page }) => {
    await open(page, '/map');
    await fits(page);
    const box = await map(page).boundingBox();
    expect(box?.width).toBeGreaterThan(3000);
    expect(box?.height).toBeGreaterThan(1900);
    await picture(page, 'map-4k');
  });
});

test.describe('@browser the keyboard', () => {
  test('/ searches, Esc closes, ? lists the keys, j and k go from light to light', async ({ page, watch, light }) => {
    await open(page, `/map?light=${light.id}`);
    await expect(drawer(page).getByTestId('light-id')).toHaveText(light.id);
    await page.keyboard.press('/');
    await expect(page.getByTestId('search-input')).toBeFocused();
    await page.keyboard.press('Escape');
    await expect(page.getByTestId('search-input')).not.toBeFocused();
    await page.keyboard.press('Escape');
    await expect(drawer(page)).toHaveCount(0);
    await page.keyboard.press('?');
    await expect(page.getByTestId('shortcuts')).toBeVisible();
    await watch.audit(page);
    await page.keyboard.press('Escape');
    await expect(page.getByTestId('shortcuts')).toBeHidden();
    await page.keyboard.press('j');
    await expect(map(page)).toHaveAttribute('data-selected', /^SL\d+/);
    const first = await map(page).getAttribute('data-selected');
    await page.keyboard.press('j');
    await expect(map(page)).not.toHaveAttribute('data-selected', first ?? '');
    await page.keyboard.press('k');
    await expect(map(page)).toHaveAttribute('data-selected', first ?? '');
  });

  test('focus is seen wherever Tab goes', async ({ page }) => {
    await open(page, '/map');
    for (let i = 0; i < 12; i++) {
      await page.keyboard.press('Tab');
      const unseen = await page.evaluate(() => {
        const element = document.activeElement;
        if (!element || element === document.body) return undefined;
        const style = getComputedStyle(element);
        const marked = style.outlineStyle !== 'none' || style.boxShadow !== 'none';
        return marked ? undefined : element.outerHTML.slice(0, 120);
      });
      expect(unseen).toBeUndefined();
    }
  });
});

test.describe('@browser signing in', () => {
  test.use({ person: null });

  test('looks like a product', async ({ page }) => {
    await page.goto('/sign-in');
    await expect(page.getByTestId('sign-in-submit')).toBeVisible();
    await picture(page, 'sign-in');
  });
});

const background = (page: Page) => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
