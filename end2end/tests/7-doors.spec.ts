// What the server says to those who should not be there, and how it answers at all.
import { expect, test } from './support/test.ts';

test.describe('a stranger', () => {
  test.use({ person: null });

  test('gets no data', async ({ request, city }) => {
    for (const path of ['/live/fleet', '/live/events?since=0']) {
      expect((await request.get(path)).status(), path).toBe(401);
    }
    for (const path of ['/map', '/lights', '/devices', '/map?light=SL001']) {
      const answer = await request.get(path, { maxRedirects: 0, headers: { accept: 'text/html' } });
      expect(answer.status(), path).toBe(302);
      expect(answer.headers().location, path).toMatch(/^\/sign-in/);
      expect(await answer.text()).not.toContain('SL001<');
    }
    for (const [path, form] of [
      ['/ui/light/command', { light: 'SL001', ask: 'off' }],
      ['/ui/light/show', { light: 'SL001' }],
      ['/ui/lights/find', { q: 'SL001' }],
      ['/ui/devices/approve', { device: 'IMEI:350000000000001' }],
      ['/ui/frame/look', {}],
    ] as const) {
      const answer = await request.post(path, { form, headers: { origin: city.url } });
      expect(answer.status(), path).toBe(401);
    }
  });
});

test('a write from another site is refused, with a good cookie', async ({ request, light }) => {
  const origins: Record<string, string>[] = [{ origin: 'https://evil.example' }, { 'sec-fetch-site': 'cross-site' }, {}];
  for (const headers of origins) {
    const form = { light: light.id, ask: 'off' };
    expect((await request.post('/ui/light/command', { form, headers })).status()).toBe(403);
  }
});

test('every page has its policy', async ({ request }) => {
  for (const path of ['/map', '/lights', '/devices', '/sign-in', '/no-such-page']) {
    const headers = (await request.get(path)).headers();
    const policy = headers['content-security-policy'] ?? '';
    expect(policy, path).toContain("default-src 'self'");
    expect(policy, path).toMatch(/script-src 'self' 'nonce-[^']+' 'wasm-unsafe-eval'/);
    expect(policy, path).not.toContain('unsafe-inline');
    expect(headers['x-content-type-options']).toBe('nosniff');
    expect(headers['x-frame-options']).toBe('DENY');
    expect(headers['referrer-policy']).toBe('same-origin');
  }
});

test('the description of the API opens under a policy as strict', async ({ page }) => {
  const answer = await page.goto('/docs/');
  expect(answer?.headers()['content-security-policy']).not.toContain('unsafe');
  await page.locator('.opblock-summary-control').first().click();
  await expect(page.locator('.opblock-body')).toBeVisible();
  // What it looks like is not ours to audit; what it asked for and complained of was watched.
  await page.goto('about:blank');
});

test('an address that is no page says so', async ({ page, watch }) => {
  watch.expects(/status of 404/);
  const answer = await page.goto('/no-such-page');
  expect(answer?.status()).toBe(404);
  await expect(page.getByRole('link', { name: 'To the map' })).toBeVisible();
});

test('the server tells how it is', async ({ request }, { project }) => {
  expect(await (await request.get('/healthz')).text()).toBe('ok\n');
  // Where several may share a database, one says what it is among them.
  const ready = project.name === 'postgres' ? /^ready\n(leads|follows), \d+ ms behind\n$/ : /^ready\n$/;
  expect(await (await request.get('/readyz')).text()).toMatch(ready);
});

test('a device gets the documented envelope for whatever it does wrong', async ({ request }) => {
  const answer = await request.post('/api/device/IMEI%3A350000000000001/status', { data: 'not json' });
  expect(answer.status()).toBe(401);
  expect(await answer.json()).toMatchObject({ status: 'error', code: expect.any(String), retry_after_seconds: 0 });
});
