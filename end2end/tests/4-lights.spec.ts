// The table of lights: the same fleet for those who do not see or want a map.
import { LAMPS } from './support/city.ts';
import { drawer, open } from './support/screen.ts';
import { expect, LIGHTS, test } from './support/test.ts';

test('lists every light, page by page', async ({ page }) => {
  await open(page, '/lights');
  await expect(page.getByTestId('lights-total')).toHaveText(`${LIGHTS} lights`);
  await expect(page.getByTestId('light-row')).toHaveCount(100);
  await expect(page.getByTestId('light-row').first()).toContainText('SL001');
  await page.getByTestId('lights-next').click();
  await expect(page.getByTestId('light-row').first()).toContainText('SL101');
  await expect(page.getByTestId('lights-total')).toHaveText(`${LIGHTS} lights`);
  await page.getByRole('link', { name: 'First page' }).click();
  await expect(page.getByTestId('light-row').first()).toContainText('SL001');
});

test('filters by text and by state, and the address carries it', async ({ page, light }) => {
  await open(page, '/lights');
  await page.getByTestId('lights-filter').fill(light.id);
  await page.getByTestId('lights-filter').press('Enter');
  await expect(page.getByTestId('light-row')).toHaveCount(1);
  await expect(page).toHaveURL(new RegExp(`q=${light.id}`));
  await open(page, '/lights?show=red');
  await expect(page.getByTestId('light-row')).toHaveCount(1);
  await expect(page.getByTestId('light-row')).toContainText('Device error');
  await open(page, '/lights?q=no+such+street');
  await expect(page.getByTestId('lights-empty')).toBeVisible();
});

test('the counts filter the table while one is on it', async ({ page }) => {
  await open(page, '/lights');
  await page.getByTestId('count-green').click();
  await expect(page).toHaveURL(/\/lights\?show=green/);
  await expect(page.getByTestId('lights-total')).toHaveText(`${LAMPS} lights`);
});

test('a row leads to its light on the map', async ({ page, light }) => {
  await open(page, `/lights?q=${light.id}`);
  await page.getByRole('link', { name: light.id }).click();
  await expect(page).toHaveURL(new RegExp(`/map\\?light=${light.id}$`));
  await expect(drawer(page).getByTestId('light-id')).toHaveText(light.id);
});

test.describe('without JavaScript', () => {
  test.use({ javaScriptEnabled: false });

  test('search in the top bar leads to the table', async ({ page, light }) => {
    await page.goto('/map');
    await page.getByTestId('search-input').fill(light.id);
    await page.getByTestId('search-input').press('Enter');
    await expect(page.getByTestId('light-row')).toHaveCount(1);
  });
});
