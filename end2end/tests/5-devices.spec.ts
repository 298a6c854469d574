// A registered city: an unknown controller waits, a person lets it in, and then every step of a command is seen by itself,
// because the test plays the controller.
import { City } from './support/city.ts';
import { Device } from './support/device.ts';
import { drawer, map, newest, open } from './support/screen.ts';
import { expect, test } from './support/test.ts';

test.use({ person: 'technician' });

test('a controller waits, is approved, comes to life and obeys', async ({ browser, database, request }, info) => {
  const city = new City(`${info.project.name}-registered`, database, 'registered');
  try {
    await city.serve();
    const storageState = { cookies: [await city.session('technician')], origins: [] };
    const context = await browser.newContext({ baseURL: city.url, storageState });
    const page = await context.newPage();
    const device = new Device(request, city, '351234567890123');

    await open(page, '/map');
    await expect(page.getByText('No lights yet')).toBeVisible();
    expect(await device.configure('Market Square')).toEqual({ status: 400, code: 'DEVICE_PENDING_APPROVAL' });

    await open(page, '/devices');
    await expect(page.getByTestId('waiting-device')).toContainText(['Market Square']);
    // Nothing to act on lies beyond the edge of a phone.
    const size = page.viewportSize();
    await page.setViewportSize({ width: 360, height: 800 });
    await expect(page.getByTestId('approve')).toBeInViewport({ ratio: 1 });
    if (size) await page.setViewportSize(size);
    await page.getByTestId('approve').click();
    await expect(page.getByTestId('devices-empty')).toBeVisible();

    await open(page, '/map');
    expect(await device.configure('Market Square')).toMatchObject({ status: 200 });
    // The map learns of a new light by itself.
    await expect(map(page)).toHaveAttribute('data-lights', '1');
    await device.reports({ power_state: 'on', brightness: 100 });
    await expect(map(page)).toHaveAttribute('data-lit', '1');

    await open(page, `/map?light=${device.lightId}`);
    await page.getByTestId('light-off').click();
    await expect(newest(page).getByTestId('command-state')).toHaveText('Queued');
    await expect(drawer(page).getByTestId('delivered-state')).toHaveText('Not yet');

    const [command, ...more] = await device.polls();
    expect(more).toEqual([]);
    expect(command).toMatchObject({ command_type: 'power_control', action: 'off' });
    if (!command) throw new Error('no command came');
    await expect(newest(page).getByTestId('command-state')).toHaveText('Delivered');
    await expect(drawer(page).getByTestId('delivered-state')).toHaveText('Yes');
    await expect(drawer(page).getByTestId('actual-state')).toHaveText('On · 100 %');

    await device.acknowledges(command);
    await expect(newest(page).getByTestId('command-state')).toHaveText('Executed');
    // Said to be done is not yet seen to be done.
    await expect(map(page)).toHaveAttribute('data-mark', 'green on 100');
    await device.reports({ power_state: 'off', brightness: 0 });
    await expect(map(page)).toHaveAttribute('data-mark', 'green off 0');
    await expect(drawer(page).getByTestId('actual-state')).toHaveText('Off');
    expect(await device.polls()).toEqual([]);
    await context.close();
  } finally {
    await city.close();
  }
});

test('a controller that asks while the page is open appears there, and disturbs nobody', async ({ browser, database, request }, info) => {
  const city = new City(`${info.project.name}-watched`, database, 'registered');
  try {
    await city.serve();
    const storageState = { cookies: [await city.session('technician')], origins: [] };
    const context = await browser.newContext({ baseURL: city.url, storageState });
    const page = await context.newPage();
    await open(page, '/devices');
    await expect(page.getByTestId('devices-empty')).toBeVisible();
    const loads = await page.evaluate(() => performance.timeOrigin);

    const rows = page.getByTestId('waiting-device');
    await new Device(request, city, '351234567890123').configure('Market Square');
    await expect(rows).toContainText(['Market Square'], { timeout: 20_000 });
    await expect(page.getByTestId('devices-empty')).toBeHidden();
    await expect(page.getByTestId('waiting-count')).toHaveText('1 device is waiting');

    // Who was about to approve the first one still is when the second one comes.
    const approve = page.getByRole('button', { name: 'Approve IMEI:351234567890123' });
    await approve.focus();
    await new Device(request, city, '351234567890124').configure('Mill Lane');
    await expect(rows).toContainText(['Market Square', 'Mill Lane'], { timeout: 20_000 });
    await expect(approve).toBeFocused();
    await expect(page.getByTestId('waiting-count')).toHaveText('2 devices are waiting');

    await page.keyboard.press('Enter');
    await expect(rows).toContainText(['Mill Lane']);
    await expect(page.getByRole('heading', { name: 'Waiting devices' })).toBeFocused();
    expect(await page.evaluate(() => performance.timeOrigin), 'without a reload').toBe(loads);
    await context.close();
  } finally {
    await city.close();
  }
});

test('the page of waiting controllers says when nobody waits', async ({ page }) => {
  await open(page, '/devices');
  await expect(page.getByTestId('devices-empty')).toBeVisible();
});
