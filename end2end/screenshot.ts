// Makes docs/screenshot.png, the picture of the README: `node screenshot.ts`, with the environment of scripts/test.
import { join } from 'node:path';
import { chromium } from '@playwright/test';
import { CHROMIUM, CHROMIUM_ARGS } from './tests/support/chromium.ts';
import { City } from './tests/support/city.ts';
import { drawer, live, map, painted } from './tests/support/screen.ts';

// Aleksanterinkatu and around: a part of the city where the plan shows.
const city = new City('screenshot', 'sqlite', 'open');
const browser = await chromium.launch({ executablePath: CHROMIUM, args: CHROMIUM_ARGS });
try {
  await city.serve();
  await city.populate({ faults: true });
  const storageState = { cookies: [await city.session('operator')], origins: [] };
  const page = await browser.newPage({
    baseURL: city.url,
    storageState,
    viewport: { width: 1440, height: 900 },
    colorScheme: 'dark',
    reducedMotion: 'reduce',
  });
  await page.goto('/map?light=SL100');
  await live(page);
  await page.getByTestId('light-off').click();
  await map(page).and(page.locator('[data-mark*=" off "]')).waitFor({ timeout: 20_000 });
  await page.getByTestId('brightness').fill('60');
  await page.getByTestId('light-on').click();
  await map(page).and(page.locator('[data-mark*=" on "]')).waitFor({ timeout: 20_000 });
  await drawer(page).getByTestId('command-state').first().waitFor();
  await painted(page);
  await page.screenshot({ path: join(import.meta.dirname, '../docs/screenshot.png') });
} finally {
  await browser.close();
  await city.close();
}
