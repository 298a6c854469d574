// Signing in and out: with and without the browser half, to where one wanted to go and nowhere else.
import { PEOPLE } from './support/city.ts';
import { live, signIn, signOut } from './support/screen.ts';
import { expect, test } from './support/test.ts';

test.use({ person: null });

test('a stranger is sent to sign in, and from there to where they wanted to go', async ({ page, watch }) => {
  await page.goto('/lights?q=SL00');
  await expect(page).toHaveURL(/\/sign-in\?next=/);
  await watch.audit(page);
  await signIn(page, 'operator');
  await expect(page).toHaveURL(/\/lights\?q=SL00$/);
  await live(page);
});

test('a wrong password is refused with a sentence, the right one leads to the map', async ({ page, watch }) => {
  watch.expects(/status of 401/);
  await page.goto('/sign-in');
  await page.waitForLoadState('networkidle');
  await signIn(page, 'operator', 'not the password');
  await expect(page.getByTestId('sign-in-error')).toHaveText(/do not match/);
  await watch.audit(page);
  await signIn(page, 'operator');
  await expect(page).toHaveURL(/\/map$/);
  await live(page);
});

test('signing out ends the session', async ({ page, request }) => {
  await page.goto('/sign-in');
  await signIn(page, 'viewer');
  await live(page);
  const cookies = await page.context().cookies();
  await signOut(page);
  await expect(page).toHaveURL(/\/sign-in/);
  // The cookie of before is worth nothing any more, whoever kept it.
  const header = cookies.map((c) => `${c.name}=${c.value}`).join('; ');
  const answer = await request.get('/live/fleet', { headers: { cookie: header } });
  expect(answer.status()).toBe(401);
});

test('signing out on every machine ends the other sessions too', async ({ page, anotherPage, watch }) => {
  watch.expects(/status of 401/);
  const there = await anotherPage(null);
  await there.goto('/sign-in');
  await signIn(there, 'admin');
  await live(there);
  await page.goto('/sign-in');
  await signIn(page, 'admin');
  await live(page);
  await page.getByTestId('person-menu').locator('summary').click();
  await page.getByTestId('sign-out-everywhere').click();
  await expect(page).toHaveURL(/\/sign-in/);
  const answer = await there.request.get('/live/fleet');
  expect(answer.status()).toBe(401);
  // The open page notices by itself that it is nobody's any more.
  await expect(there).toHaveURL(/\/sign-in/, { timeout: 20_000 });
});

test('next leads only to this site', async ({ page }) => {
  for (const next of ['https://evil.example/', '//evil.example/', '/\\evil.example']) {
    await page.goto(`/sign-in?next=${encodeURIComponent(next)}`);
    await signIn(page, 'operator');
    await expect(page).toHaveURL(/127\.0\.0\.1:\d+\/map$/);
    await live(page);
    await page.context().clearCookies();
  }
});

test.describe('without JavaScript', () => {
  test.use({ javaScriptEnabled: false });

  test('signing in, a refusal and signing out are plain forms', async ({ page }) => {
    await page.goto('/sign-in?next=/lights');
    await signIn(page, 'operator', 'not the password');
    await expect(page.getByTestId('sign-in-error')).toHaveText(/do not match/);
    await signIn(page, 'operator');
    await expect(page).toHaveURL(/\/(lights|map)$/);
    await expect(page.getByTestId('person-menu')).toContainText(PEOPLE.operator.email);
    await signOut(page);
    await expect(page).toHaveURL(/\/sign-in/);
  });
});
