// What every page must hold at all times: a silent console, no request to another host, nothing for axe to find.
import AxeBuilder from '@axe-core/playwright';
import { expect, type Page } from '@playwright/test';

export class Watch {
  private readonly origin: string;
  private problems: string[] = [];
  private expected: RegExp[] = [];

  constructor(origin: string) {
    this.origin = origin;
  }

  over(page: Page): void {
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) {
        this.problem(`console ${message.type()}: ${message.text()} (${message.location().url})`);
      }
    });
    page.on('pageerror', (error) => this.problem(`uncaught: ${error.message}`));
    page.on('request', (request) => {
      const url = new URL(request.url());
      if (/^(https?|wss?):$/.test(url.protocol) && url.origin !== this.origin) this.problem(`outside request: ${url}`);
    });
  }

  /** The test provokes this; a browser reports every refused request as an error of its own. */
  expects(...patterns: RegExp[]): void {
    this.expected.push(...patterns);
  }

  /** Fails on everything that axe finds in the page as it is now. */
  async audit(page: Page): Promise<void> {
    const rules = { 'target-size': { enabled: true } };
    const { violations } = await new AxeBuilder({ page }).options({ rules }).analyze();
    const found = violations.map((v) => `${v.id}: ${v.help}: ${v.nodes.map((n) => n.html.slice(0, 160)).join(' | ')}`);
    expect.soft(found, `axe on ${page.url()}`).toEqual([]);
  }

  /** Fails if anything was said or asked that should not have been. */
  verdict(): void {
    expect(this.problems).toEqual([]);
  }

  private problem(text: string): void {
    if (!this.expected.some((pattern) => pattern.test(text))) this.problems.push(text);
  }
}
