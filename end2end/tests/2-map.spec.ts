// The map: every light is on it, search finds one, a click selects it, what happens elsewhere shows by itself.
import { fleet } from './support/fleet.ts';
import { drawer, map, open, search } from './support/screen.ts';
import { expect, LIGHTS, test } from './support/test.ts';

test('shows every light and how many burn', async ({ page }) => {
  await open(page, '/map');
  await expect(map(page)).toHaveAttribute('data-lights', String(LIGHTS));
  await expect(page.getByTestId('count-red')).toContainText('1');
  const lit = async () => (await fleet(page.request)).filter((m) => m.lamp === 'on').length;
  await expect.poll(async () => Number(await map(page).getAttribute('data-lit')) - (await lit())).toBe(0);
  expect(await lit()).toBeGreaterThan(LIGHTS - 20);
});

test('tells the time of the city, not of the browser', async ({ page }) => {
  await open(page, '/map');
  await expect(page.getByTestId('city-time')).toHaveText(/^2[23]:\d\d:\d\d|^00:\d\d:\d\d/);
  await expect(page.getByTestId('demo-clock')).toBeVisible();
  await expect(page.getByTestId('next-sun')).toHaveText(/^Sunrise \d\d:\d\d · 587 lights switch off$/);
});

test('search finds a light by its number and by its IMEI and opens its drawer', async ({ page, light }) => {
  await open(page, '/map');
  const byNumber = await search(page, light.id.toLowerCase());
  await expect(byNumber.first()).toContainText(light.id);
  const imei = (await byNumber.first().innerText()).match(/IMEI:(\d{15})/)?.[1];
  expect(imei).toBeDefined();
  const byImei = await search(page, imei ?? '');
  await expect(byImei).toHaveCount(1);
  await page.keyboard.press('Enter');
  await expect(page).toHaveURL(new RegExp(`/map\\?light=${light.id}$`));
  await expect(drawer(page).getByTestId('light-id')).toHaveText(light.id);
  await expect(drawer(page)).toContainText(imei ?? '');
  await expect(map(page)).toHaveAttribute('data-selected', light.id);
  await expect(map(page)).toHaveAttribute('data-mark', 'green on 100');
});

test('search that finds nothing says so', async ({ page }) => {
  await open(page, '/map');
  await expect(await search(page, 'no such street')).toHaveCount(0);
  await expect(page.getByText('No light matches.')).toBeVisible();
});

test('a click on the canvas selects the light under it', async ({ page, light }) => {
  // A light that is opened by its address comes to the middle of what the drawer leaves free.
  await open(page, `/map?light=${light.id}`);
  await expect(drawer(page).getByTestId('light-id')).toHaveText(light.id);
  const [whole, covered] = [await map(page).boundingBox(), await drawer(page).boundingBox()];
  if (!whole || !covered) throw new Error('map or drawer has no size');
  const at = { x: (covered.x - whole.x) / 2, y: whole.height / 2 };
  await page.getByTestId('drawer-close').click();
  await expect(drawer(page)).toHaveCount(0);
  await map(page).click({ position: at });
  await expect(map(page)).toHaveAttribute('data-selected', light.id);
  await expect(drawer(page).getByTestId('light-id')).toHaveText(light.id);
});

test('the counts filter the map', async ({ page }) => {
  await open(page, '/map');
  await page.getByTestId('count-red').click();
  await expect(page).toHaveURL(/show=red/);
  await expect(page.getByText('Only critical lights are shown.')).toBeVisible();
  await page.getByRole('link', { name: 'Show all' }).click();
  await expect(page).not.toHaveURL(/show=/);
});

test('a light that does not exist is a sentence, not an empty panel', async ({ page, watch }) => {
  watch.expects(/status of 404/);
  await open(page, '/map?light=SL99999');
  await expect(page.getByTestId('drawer-error')).toHaveText(/no light with this number/);
});

test('the first HTML has the light, its facts and its readings', async ({ request, light }) => {
  const html = await (await request.get(`/map?light=${light.id}`)).text();
  for (const text of [light.id, 'Commanded', 'Delivered', 'Actual', 'On · 100 %', '587 lights switch off']) {
    expect(html).toContain(text);
  }
});

test.describe('without JavaScript', () => {
  test.use({ javaScriptEnabled: false });

  test('the drawer and its switch work', async ({ page, light }) => {
    await page.goto(`/map?light=${light.id}`);
    await expect(drawer(page).getByTestId('actual-state')).toHaveText('On · 100 %');
    await page.getByTestId('light-on').click();
    await page.goto(`/map?light=${light.id}`);
    await expect(drawer(page).getByTestId('command-state').first()).toHaveText(/Queued|Delivered|Executed/);
  });
});
