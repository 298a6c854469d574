// The real server, a real fleet and Debian's Chromium, once on each database. One city per project and one worker: tests
// keep out of each other's way by taking a light of their own.
import { defineConfig } from '@playwright/test';
import { CHROMIUM, CHROMIUM_ARGS } from './tests/support/chromium.ts';
import type { CityOptions } from './tests/support/test.ts';

export default defineConfig<object, CityOptions>({
  testDir: 'tests',
  workers: 1,
  fullyParallel: false,
  forbidOnly: true,
  // On PostgreSQL a controller that was claimed in the moment its notice was read came online after five minutes only. Until that is
  // seen to be over (see `device_is` in crates/ccms-service), such a city is started anew; the list says which tests needed it.
  retries: 1,
  timeout: 60_000,
  expect: { timeout: 10_000 },
  reporter: [['list']],
  outputDir: 'test-results/run',
  use: {
    viewport: { width: 1440, height: 900 },
    colorScheme: 'dark',
    // Far from every city in the tests: a time that the browser's own clock made would be seen at once.
    timezoneId: 'Pacific/Auckland',
    locale: 'en-GB',
    contextOptions: { reducedMotion: 'reduce' },
    actionTimeout: 10_000,
    navigationTimeout: 20_000,
    screenshot: 'only-on-failure',
    trace: 'retain-on-failure',
    launchOptions: { executablePath: CHROMIUM, args: CHROMIUM_ARGS },
  },
  projects: [
    { name: 'sqlite', use: { database: 'sqlite' } },
    // What only the browser decides (theme, width, keys) is seen once, on SQLite.
    { name: 'postgres', use: { database: 'postgres' }, grepInvert: /@browser/ },
  ],
});
