/** A server with the demo model and a store of its own, and a browser. */

import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium, type Browser, type BrowserContextOptions, type Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';

export const ROOT = join(import.meta.dirname, '..', '..');
export const MEDIA = join(ROOT, 'examples', 'media');
const COMMAND = process.env['MISTRALRS'] ?? join(ROOT, '.venv', 'bin', 'mistralrs');
const CHROMIUM = process.env['CHROMIUM'] ?? '/usr/bin/chromium';

export class Server {
  readonly data = mkdtempSync(join(tmpdir(), 'mistralrs-page-'));
  url = '';
  /** The address that the server shows, with the key of the page where it has one. */
  address = '';
  #process: ChildProcess | undefined;

  async start(...options: string[]): Promise<this> {
    const port = this.url ? Number(new URL(this.url).port) : await freePort(); // the same when it is started again
    this.url = `http://127.0.0.1:${port}`;
    const env = { ...process.env, MISTRALRS_DATA_DIR: this.data, MISTRALRS_RUNTIME_DIR: this.data };
    this.#process = spawn(COMMAND, ['serve', '-p', String(port), '--cpu', ...options], { env, stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    this.#process.stderr?.on('data', (data: Buffer) => (said += data.toString()));
    while (!said.includes('try: ') || !(await fetch(`${this.url}/ready`).then((found) => found.ok, () => false))) {
      if (this.#process.exitCode !== null) throw new Error('The server has ended.');
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    this.address = /http:\S+#key=\S+/.exec(said)?.[0] ?? `${this.url}/`;
    return this;
  }

  /** Headers of a request for the chats of the terminal. */
  get headers(): Record<string, string> {
    return { Authorization: `Bearer ${this.address.split('#key=')[1]}` };
  }

  async close(): Promise<void> {
    await this.stop('SIGINT');
    rmSync(this.data, { recursive: true, force: true });
  }

  async stop(signal: NodeJS.Signals): Promise<void> {
    const ended = new Promise((resolve) => this.#process?.once('exit', resolve));
    this.#process?.kill(signal);
    await ended;
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const listener = createServer().listen(0, '127.0.0.1', () => {
      const address = listener.address();
      listener.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}

export function launch(): Promise<Browser> {
  return chromium.launch({
    executablePath: CHROMIUM,
    args: [
      '--headless', '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync', '--use-fake-device-for-media-stream',
      '--use-fake-ui-for-media-stream', '--auto-select-desktop-capture-source=Entire screen',
    ],
  });
}

/** A page that fails the test where a script goes wrong, or anything is asked of another place. */
export async function opened(browser: Browser, server: Server, options: BrowserContextOptions = {}, address = server.address): Promise<Page> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, permissions: ['microphone', 'camera', 'clipboard-read', 'clipboard-write'], ...options });
  const page = await context.newPage();
  const wrong: string[] = [];
  page.on('pageerror', (error) => wrong.push(error.message));
  page.on('console', (message) => { if (/Content Security Policy|Trusted/i.test(message.text())) wrong.push(message.text()); });
  page.on('request', (request) => { if (!/^(blob:|data:)/.test(request.url()) && !request.url().startsWith(server.url)) wrong.push(`asked ${request.url()}`); });
  problems.set(page, wrong);
  await page.goto(address);
  await page.getByRole('button', { name: 'Send' }).waitFor();
  return page;
}

/** A browser and a server for the tests of a file; no page may have had problems at the end of one. */
export function shared(page: () => Page): { browser: Browser; server: Server } {
  const found = {} as { browser: Browser; server: Server };
  beforeAll(async () => {
    [found.browser, found.server] = await Promise.all([launch(), new Server().start()]);
  });
  afterAll(async () => {
    await found.browser.close();
    await found.server.close();
  });
  afterEach(async () => {
    expect(problems.get(page())).toEqual([]);
    await page().context().close();
  });
  return found;
}

export const problems = new WeakMap<Page, string[]>();

export const composer = (page: Page) => page.locator('#composer textarea').last();
export const attach = (page: Page, ...names: string[]) => page.getByTestId('files').setInputFiles(names.map((name) => join(MEDIA, name)));

/** Have the page get this answer in place of the model's; the requests are kept. */
export async function answering(page: Page, text: string, changes: Record<string, unknown> = {}): Promise<Record<string, any>[]> {
  const asked: Record<string, any>[] = [];
  await page.route('**/v1/chat/completions', async (route) => {
    asked.push(route.request().postDataJSON() as Record<string, any>);
    const deltas = (text.match(/[\s\S]{1,40}/g) ?? []).map((content) => ({ choices: [{ index: 0, delta: { content } }] }));
    const end = [{ choices: [{ index: 0, delta: {}, finish_reason: 'stop', ...changes }] }, { choices: [], usage: { prompt_tokens: 9, completion_tokens: 9 } }];
    const body = [...deltas, ...end].map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`).join('');
    await route.fulfill({ status: 200, contentType: 'text/event-stream', body: `${body}data: [DONE]\n\n` });
  });
  return asked;
}

export async function ask(page: Page, words: string): Promise<void> {
  const before = await page.locator('.numbers').count();
  await composer(page).fill(words);
  await composer(page).press('Enter');
  await page.locator('.numbers').nth(before).waitFor();
}
