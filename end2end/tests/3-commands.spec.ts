// Switching: what was asked, what was handed over, what is. Over HTTP polling a light has 15 s for all of it.
import { fleet } from './support/fleet.ts';
import { drawer, map, newest, open } from './support/screen.ts';
import { expect, test } from './support/test.ts';

const WITHIN = { timeout: 15_000 };

test('a light goes off and on again: queued, delivered, executed, and its mark follows', async ({ page, light }) => {
  await open(page, `/map?light=${light.id}`);
  await expect(map(page)).toHaveAttribute('data-mark', 'green on 100');
  for (const [button, mark, actual] of [
    ['light-off', /^green off /, 'Off'],
    ['light-on', /^green on /, /^On/],
  ] as const) {
    const before = await drawer(page).getByTestId('command-state').count();
    const seen = await recordStates(page);
    await page.getByTestId(button).click();
    await expect(drawer(page).getByTestId('command-state')).toHaveCount(before + 1);
    await expect(newest(page).getByTestId('command-state')).toHaveText('Executed', WITHIN);
    await expect(map(page)).toHaveAttribute('data-mark', mark, WITHIN);
    await expect(drawer(page).getByTestId('actual-state')).toHaveText(actual, WITHIN);
    await expect(drawer(page).getByTestId('delivered-state')).toHaveText('Yes');
    // Each step has its time; "delivered" may be too short to be seen by itself, a device acts at once.
    await expect(newest(page).getByRole('listitem')).toHaveText([
      /^Queued\s*\d\d:\d\d:\d\d$/,
      /^Delivered\s*\d\d:\d\d:\d\d$/,
      /^Executed\s*\d\d:\d\d:\d\d$/,
    ]);
    const states = await seen();
    expect(states[0]).toBe('Queued');
    expect(['Queued', 'Delivered', 'Executed'].filter((s) => states.includes(s))).toEqual(states);
  }
});

test('a light is dimmed to 40 %', async ({ page, light }) => {
  await open(page, `/map?light=${light.id}`);
  await page.getByTestId('brightness').fill('40');
  await page.getByTestId('brightness-set').click();
  await expect(newest(page)).toContainText('Dim to 40 %');
  await expect(newest(page).getByTestId('command-state')).toHaveText('Executed', WITHIN);
  await expect(map(page)).toHaveAttribute('data-mark', 'green on 40', WITHIN);
  await expect(drawer(page).getByTestId('actual-state')).toHaveText('On · 40 %');
});

test('what one operator does, another sees', async ({ page, anotherPage, light }) => {
  await open(page, `/map?light=${light.id}`);
  const other = await anotherPage('viewer');
  await open(other, `/map?light=${light.id}`);
  await page.getByTestId('light-off').click();
  await expect(newest(other).getByTestId('command-state')).toHaveText('Executed', WITHIN);
  await expect(map(other)).toHaveAttribute('data-mark', /^green off /, WITHIN);
  await expect(newest(other)).toContainText('operator@example.org');
});

test('keys switch, but ask first', async ({ page, light }) => {
  await open(page, `/map?light=${light.id}`);
  await expect(drawer(page).getByTestId('light-id')).toHaveText(light.id);
  await page.keyboard.press('f');
  await expect(page.getByTestId('confirm')).toBeVisible();
  await page.keyboard.press('Escape');
  await expect(page.getByTestId('confirm')).toBeHidden();
  await expect(drawer(page).getByTestId('command-state')).toHaveCount(0);
  await page.keyboard.press('f');
  await page.getByTestId('confirm-yes').click();
  await expect(newest(page)).toContainText('Off');
  await expect(newest(page).getByTestId('command-state')).toHaveText('Executed', WITHIN);
});

test.describe('a viewer', () => {
  test.use({ person: 'viewer' });

  test('looks and does not switch', async ({ page, city, light }) => {
    await open(page, `/map?light=${light.id}`);
    for (const control of ['light-on', 'light-off', 'brightness', 'brightness-set']) {
      await expect(page.getByTestId(control)).toBeDisabled();
    }
    await expect(page.getByTestId('may-not-command')).toBeVisible();
    await expect(page.getByRole('link', { name: 'Devices' })).toHaveCount(0);
    await page.keyboard.press('f');
    await expect(page.getByTestId('confirm')).toBeHidden();

    const form = { light: light.id, ask: 'off' };
    const asked = await page.request.post('/ui/light/command', { form, headers: { origin: city.url } });
    expect(asked.status()).toBe(403);
    expect(await asked.text()).toContain('forbidden');
    const approved = await page.request.post('/ui/devices/approve', {
      form: { device: 'IMEI:350000000000001' },
      headers: { origin: city.url },
    });
    expect(approved.status()).toBe(403);
    await expect(drawer(page).getByTestId('command-state')).toHaveCount(0);
    expect((await fleet(page.request)).find((m) => m.id === light.id)?.lamp).toBe('on');
  });
});

/** Notes every text of the newest command's state from now on; the function answers them, without repetition. */
async function recordStates(page: import('@playwright/test').Page): Promise<() => Promise<string[]>> {
  await page.evaluate(() => {
    const states = () => document.querySelectorAll('[data-testid=command-state]');
    const [seen, before]: [string[], number] = [[], states().length];
    const look = () => {
      const text = states().length > before ? states()[0]?.textContent : undefined;
      if (text && seen.at(-1) !== text) seen.push(text);
    };
    new MutationObserver(look).observe(document.body, { subtree: true, childList: true, characterData: true });
    Object.assign(window, { seenStates: seen });
  });
  return () => page.evaluate(() => (window as unknown as { seenStates: string[] }).seenStates);
}
