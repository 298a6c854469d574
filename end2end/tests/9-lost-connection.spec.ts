// Last, because it takes the server away from under everybody: a screen must never look alive when it is not.
import { drawer, live, map, newest, open } from './support/screen.ts';
import { expect, LIGHTS, test } from './support/test.ts';

test('a lost server is said, and everything is back when it is', async ({ page, city, watch, light }) => {
  watch.expects(/ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED_ENCODING|ERR_EMPTY_RESPONSE|ERR_CONNECTION_RESET/);
  await open(page, `/map?light=${light.id}`);
  const burning = Number(await map(page).getAttribute('data-lit'));
  await expect(page.getByTestId('lost-bar')).toBeHidden();

  await city.kill();
  await expect(page.getByTestId('lost-bar')).toBeVisible();
  await expect(page.getByTestId('lost-bar')).toHaveText(/since \d\d:\d\d:\d\d/);
  await expect(page.getByTestId('live-indicator')).toHaveAttribute('data-state', /reconnecting|stale/);
  await page.getByTestId('light-off').click();
  await expect(page.getByTestId('command-error')).toHaveText(/did not answer/);
  await watch.audit(page);

  await city.serve();
  await expect(page.getByTestId('lost-bar')).toBeHidden({ timeout: 20_000 });
  await live(page);
  // The last state is there at once, from before anything reported again.
  await expect(map(page)).toHaveAttribute('data-lights', String(LIGHTS));
  expect(Number(await map(page).getAttribute('data-lit'))).toBeGreaterThan(burning - 5);
  await page.getByTestId('light-off').click();
  await expect(newest(page).getByTestId('command-state')).toHaveText('Executed', { timeout: 30_000 });
  await expect(drawer(page).getByTestId('actual-state')).toHaveText('Off', { timeout: 15_000 });
});
