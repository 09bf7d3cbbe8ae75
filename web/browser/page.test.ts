/** The page itself: for everyone, smooth, safe. */

import { readFileSync, writeFileSync, mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { answering, ask, attach, composer, opened, Server, shared } from './server';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

let page: Page;
const all = shared(() => page);

async function violations(): Promise<string[]> {
  await page.evaluate(AXE);
  return page.evaluate(async () => {
    const { violations } = await (window as any).axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] });
    return violations.map((one: any) => `${one.id}: ${one.nodes.map((node: any) => node.html).join(' ').slice(0, 300)}`);
  });
}

const RICH = 'A **table**, see [there](https://example.com):\n\n| a | b |\n|---|--:|\n| 1 | 2 |\n\n$$x^2$$\n\n```python\n# a comment\ndef f(x: int) -> str:\n    return "text" + str(1)\n```\n\n> quote\n\n- [x] done';

test.each(['light', 'dark'] as const)('axe finds nothing, %s', async (colorScheme) => {
  page = await opened(all.browser, all.server, { colorScheme, reducedMotion: 'reduce' });
  expect(await violations()).toEqual([]);
  await answering(page, RICH);
  await attach(page, 'red_circle.png', 'beeps.wav', 'clip.mp4');
  await page.getByText(/tokens/).nth(2).waitFor();
  expect(await violations()).toEqual([]);
  await page.locator('.attachment-open', { hasText: 'clip.mp4' }).click();
  expect(await violations()).toEqual([]);
  await page.keyboard.press('Escape');
  await ask(page, 'What is it?');
  await page.getByRole('button', { name: 'Edit the question' }).click();
  expect(await violations()).toEqual([]);
  await page.getByRole('button', { name: 'Settings' }).click();
  expect(await violations()).toEqual([]);
});

test('motion is reduced where that is wanted', async () => {
  page = await opened(all.browser, all.server, { reducedMotion: 'reduce' });
  await page.route('**/v1/chat/completions', () => undefined); // never answered
  await composer(page).fill('hi');
  await composer(page).press('Enter');
  expect(await page.locator('.pulse').first().evaluate((dot) => getComputedStyle(dot).animationName)).toBe('none');
});

test.each([360, 390, 768, 1280, 1920, 2560])('nothing runs out of a page %i wide', async (width) => {
  page = await opened(all.browser, all.server, { viewport: { width, height: 800 } });
  await answering(page, `${RICH}\n\n${'long'.repeat(200)}\n\n\`\`\`\n${'x'.repeat(400)}\n\`\`\``);
  await attach(page, 'red_circle.png', 'beeps.wav', 'clip.mp4');
  await page.getByText(/tokens/).nth(2).waitFor();
  await ask(page, 'word'.repeat(100));
  const over = await page.evaluate(() => [document.documentElement, document.querySelector('.scroll')!].map((box) => box.scrollWidth - box.clientWidth));
  expect(over).toEqual([0, 0]);
});

test('text from right to left', async () => {
  page = await opened(all.browser, all.server);
  await answering(page, 'זוהי תשובה **חשובה**.');
  await ask(page, 'מה זה?');
  for (const place of ['.bubble .words', '.markdown .block']) {
    expect(await page.locator(place).evaluate((box) => getComputedStyle(box).direction)).toBe('rtl');
  }
});

test('everything is reached by keys, and an answer is read out', async () => {
  page = await opened(all.browser, all.server);
  await answering(page, 'One sentence. Another one.');
  await page.keyboard.press('Tab');
  const names: string[] = [];
  for (let steps = 0; steps < 40; steps++) {
    names.push(await page.evaluate(() => document.activeElement?.getAttribute('aria-label') ?? document.activeElement?.textContent?.trim() ?? ''));
    await page.keyboard.press('Tab');
  }
  for (const name of ['Go to the question', 'New chat', 'Settings', 'Your question', 'Record from the microphone']) expect(names).toContain(name);
  await composer(page).focus();
  await page.keyboard.type('hi');
  await page.keyboard.press('Enter');
  await page.locator('.numbers').waitFor();
  await page.waitForFunction(() => /Another one|complete/.test(document.querySelector('[role=status]')?.textContent ?? ''));
});

const HOSTILE = [
  '<script>window.hit=1</script>', '<img src=x onerror="window.hit=1">', '<svg onload="window.hit=1"><script>window.hit=1</script></svg>',
  '<iframe src="javascript:window.hit=1"></iframe>', '<a href="javascript:window.hit=1">a</a>', '[a](javascript:window.hit=1)',
  '[a](JaVaScRiPt:window.hit=1)', '[a](java\tscript:window.hit=1)', '[a](&#106;avascript:window.hit=1)', '[a](data:text/html,<script>window.hit=1</script>)',
  '![a](http://tracker.example/a.png)', '![a](javascript:window.hit=1)', '![a](//tracker.example/a.png)', '[![a](http://tracker.example/b.png)](http://tracker.example)',
  '<math><mtext><table><mglyph><style><img src=x onerror="window.hit=1">', '<details open ontoggle="window.hit=1">', '<form action="http://tracker.example"><button>x</button></form>',
  '<style>@import "http://tracker.example/a.css"</style>', '<link rel=stylesheet href="http://tracker.example/a.css">', '<meta http-equiv=refresh content="0;url=http://tracker.example">',
  '<base href="http://tracker.example/">', '<object data="http://tracker.example"></object>', '<video src="http://tracker.example/a.mp4" autoplay></video>',
  '$\\href{javascript:window.hit=1}{x}$', '$\\includegraphics{http://tracker.example/a.png}$', '$$\\def\\a{\\a\\a}\\a$$', '$\\url{javascript:window.hit=1}$', '$\\class{x" onclick="window.hit=1}{y}$',
  '```"><img src=x onerror=window.hit=1>\ncode\n```', '```html\n<script>window.hit=1</script>\n```', '| <img src=x onerror=window.hit=1> |\n|---|\n| x |',
  '<span data-tex="\\href{javascript:window.hit=1}{x}"></span>', '<div style="position:fixed;inset:0">x</div>', '[x]: javascript:window.hit=1\n\n[x]', '<http://ok.example> <javascript:window.hit=1>',
  '[a](vbscript:x "onmouseover=window.hit=1")', '<a href="http://ok.example" target="_self" onclick="window.hit=1">x</a>', '<noscript><p title="</noscript><img src=x onerror=window.hit=1>">',
];

test('what a model writes runs nothing and loads nothing', async () => {
  page = await opened(all.browser, all.server);
  await answering(page, HOSTILE.join('\n\n'));
  await ask(page, '<img src=x onerror="window.hit=1">');
  for (const link of await page.locator('.markdown a[href]').all()) {
    expect(await link.getAttribute('href')).toMatch(/^(https?:|mailto:)/);
    expect(await link.getAttribute('rel')).toContain('noopener');
  }
  const made = 'script, img, svg:not(.icon), iframe, object, embed, form, style, link, meta, base, video, audio, [style], [onclick], [onerror], [onload]';
  expect(await page.locator('.markdown').first().locator(made).evaluateAll((found) => found.map((one) => one.outerHTML))).toEqual([]);
  await page.locator('.markdown').click();
  expect(await page.evaluate(() => (window as any).hit)).toBeUndefined();
});

test('keys are asked for, and kept for the tab alone', async () => {
  const locked = await new Server().start('--api-key', 'secret-key');
  try {
    page = await opened(all.browser, locked, {}, `${locked.url}/`);
    await page.getByLabel('API key').fill('secret-key');
    await page.getByRole('button', { name: 'Use this key' }).click();
    await page.getByText('demo', { exact: true }).waitFor();
    expect(await page.evaluate(() => [JSON.stringify(localStorage), document.cookie, location.href].some((text) => text.includes('secret')))).toBe(false);
    await page.reload();
    await page.getByText('demo', { exact: true }).waitFor();
    await page.goto(locked.address); // in a tab that has the page already
    await page.getByText('Shared with the terminal').waitFor();
    expect(page.url()).toBe(`${locked.url}/ui/`);
    expect(await page.evaluate(() => JSON.stringify(history.state) + document.referrer)).not.toContain('key');
  } finally {
    await locked.close();
  }
});

test('without the key of its address the page keeps chats in the browser, and says so', async () => {
  page = await opened(all.browser, all.server, {}, `${all.server.url}/`);
  await page.getByText('Kept in this browser').waitFor();
  await answering(page, 'Well.');
  await ask(page, 'One for this browser');
  const stored = async () => ((await (await page.request.get(`${all.server.url}/ui/chats`, { headers: all.server.headers })).json()).chats as { title: string }[]).map((chat) => chat.title);
  expect((await page.request.get(`${all.server.url}/ui/chats`)).status()).toBe(403);
  expect(await stored()).not.toContain('One for this browser');
  await page.getByRole('button', { name: 'New chat' }).first().click();
  await ask(page, 'Another for this browser');
  await page.getByRole('button', { name: 'Use the terminal’s' }).click();
  await page.getByLabel('Key of the page').fill('wrong');
  await page.getByRole('button', { name: 'Use this key' }).click();
  await page.getByText('This is not the key').waitFor();
  await page.getByRole('button', { name: 'Use the terminal’s' }).click();
  await page.getByLabel('Key of the page').fill(all.server.address.split('#key=')[1]!);
  await page.getByRole('button', { name: 'Use this key' }).click();
  await page.getByText('Shared with the terminal').waitFor();
  await expect.poll(stored, { timeout: 30_000 }).toEqual(expect.arrayContaining(['One for this browser', 'Another for this browser']));
  await ask(page, 'And more'); // the open chat goes on, kept by the server from now on
  await page.reload();
  await page.locator('.row-open', { hasText: 'Another for this browser' }).click();
  await page.getByText('And more').waitFor();
  expect(await page.locator('.row-open', { hasText: 'Another for this browser' }).count()).toBe(1);
});

test('on a shared server chats stay in the browser, and are exported and imported', async () => {
  const shared = await new Server().start('--host', '0.0.0.0', '--insecure');
  try {
    page = await opened(all.browser, shared);
    await page.getByText('Kept in this browser').waitFor();
    await answering(page, 'A circle.');
    await attach(page, 'red_circle.png');
    await page.getByText(/480×360/).waitFor();
    await ask(page, 'What is it?');
    await expect.poll(() => page.evaluate(() => new Promise((resolve) => {
      const opening = indexedDB.open('mistralrs', 1);
      opening.onsuccess = () => {
        const asked = opening.result.transaction('chats').objectStore('chats').getAll();
        asked.onsuccess = () => { opening.result.close(); resolve(asked.result[0]?.chat.turns[0].answer); };
      };
    })), { timeout: 30_000 }).toBe('A circle.');
    await page.reload();
    await page.locator('.row-open').click();
    await page.locator('.bubble img').waitFor();
    await page.locator('.row').hover();
    const saving = page.waitForEvent('download');
    await page.getByRole('button', { name: /^Export/ }).click();
    const file = await (await saving).path();
    const chat = JSON.parse(readFileSync(file, 'utf8'));
    expect(chat.turns[0].answer).toBe('A circle.');
    expect(chat.turns[0].question[0].base64.length).toBeGreaterThan(100);
    await page.locator('.row').hover();
    await page.getByRole('button', { name: /^Delete/ }).click();
    await page.getByRole('button', { name: 'Delete', exact: true }).click();
    await page.getByText('Your chats will be here.').waitFor();
    await page.getByLabel('Import a chat').setInputFiles({ name: 'chat.json', mimeType: 'application/json', buffer: Buffer.from(JSON.stringify(chat)) });
    await page.locator('.bubble img').waitFor();
    expect(await page.locator('.row').count()).toBe(1);
  } finally {
    await shared.close();
  }
});

test('the page begins with what the command line wants', async () => {
  const given = { temperature: 0.25, enable_thinking: false, stop: ['END'], system: 'Be brief.', response_format: { type: 'json_schema', json_schema: { schema: { type: 'object', properties: { color: { type: 'string' } }, required: ['color'], additionalProperties: false } } } };
  page = await opened(all.browser, all.server);
  await page.route('**/ui/about', async (route) => {
    const found = await (await route.fetch()).json();
    await route.fulfill({ json: { ...found, settings: given } });
  });
  await page.reload();
  await page.getByText('demo', { exact: true }).waitFor();
  const asked = await answering(page, '{}');
  await ask(page, 'What is it?');
  expect(asked[0]).toMatchObject({ temperature: 0.25, enable_thinking: false, stop: ['END'] });
  expect(asked[0]!['response_format'].json_schema.schema.required).toEqual(['color']);
  expect(asked[0]!['messages'][0]).toEqual({ role: 'system', content: 'Be brief.' });
  await page.getByRole('button', { name: 'Settings' }).click();
  await page.getByText('stop ["END"]').waitFor();
  await page.getByLabel('Temperature').fill('0.5');
  await page.getByRole('button', { name: 'Done' }).click();
  await ask(page, 'Again?');
  expect(asked[1]!['temperature']).toBe(0.5);
  await page.unroute('**/ui/about'); // a later server wants nothing of that
  await page.reload();
  await page.getByText('demo', { exact: true }).waitFor();
  await ask(page, 'Once more?');
  expect([asked[2]!['temperature'], asked[2]!['stop'], asked[2]!['messages'][0].role]).toEqual([0.5, undefined, 'user']);
});

test('the list of chats is moved through by keys', async () => {
  page = await opened(all.browser, all.server);
  await answering(page, 'Well.');
  for (const words of ['One of three', 'Two of three', 'Three of three']) {
    await page.getByRole('button', { name: 'New chat' }).first().click();
    await ask(page, words);
  }
  await page.getByRole('searchbox', { name: 'Search chats' }).focus();
  await page.keyboard.press('Tab');
  const here = () => page.evaluate(() => document.activeElement?.textContent);
  expect(await here()).toBe('Three of three');
  await page.keyboard.press('ArrowDown');
  await expect.poll(here).toBe('Two of three');
  await page.keyboard.press('Enter');
  await page.locator('.bubble', { hasText: 'Two of three' }).waitFor();
  await page.keyboard.press('End');
  await page.keyboard.press('Home');
  await expect.poll(here).toBe('Three of three');
  await page.keyboard.press('Delete');
  await page.getByRole('dialog', { name: 'Delete this chat?' }).waitFor();
});

test('the server ends in the middle of an answer and is started again', async () => {
  const mortal = await new Server().start();
  try {
    page = await opened(all.browser, mortal);
    await page.route('**/v1/chat/completions', async (route) => {
      const body = route.request().postDataJSON();
      await route.continue({ postData: JSON.stringify({ ...body, ignore_eos: true, max_tokens: 4000 }) });
    });
    await attach(page, 'red_circle.png');
    await page.getByText(/480×360/).waitFor();
    await composer(page).fill('What is it?');
    await composer(page).press('Enter');
    await page.locator('.answer .block').first().waitFor();
    await mortal.stop('SIGKILL');
    await page.getByText('The connection was lost').waitFor();
    await page.getByText('Stopped here.').waitFor();
    await page.unroute('**/v1/chat/completions');
    await composer(page).fill('And now?');
    await composer(page).press('Enter');
    await page.getByText('The server does not answer').first().waitFor();
    expect(await composer(page).inputValue()).toBe('And now?');
    await mortal.start();
    await page.getByText('has another key').waitFor({ timeout: 30_000 });
    await page.locator('.sidebar footer', { hasText: 'Kept in this browser' }).waitFor();
    await composer(page).press('Enter'); // its picture is sent again
    await page.locator('.turn').nth(1).locator('.numbers').waitFor({ timeout: 60_000 });
    await page.goto(mortal.address); // with the new key what was kept here is the terminal's
    await page.getByRole('alert').getByText('is now with those of the terminal').waitFor();
    const { chats } = await (await page.request.get(`${mortal.url}/ui/chats`, { headers: mortal.headers })).json();
    expect(chats.map((chat: { turns: number }) => chat.turns)).toContain(2);
  } finally {
    await mortal.close();
  }
});

test('a chat that is open in two tabs loses no turn', async () => {
  page = await opened(all.browser, all.server);
  await answering(page, 'Well.');
  await ask(page, 'First of two tabs');
  const other = await page.context().newPage();
  await other.goto(all.server.address);
  await other.locator('.row-open', { hasText: 'First of two tabs' }).click();
  await answering(other, 'Well.');
  await ask(other, 'Second, over there');
  await ask(page, 'Third, here');
  await page.getByText('yours is kept beside it').waitFor();
  await expect.poll(async () => {
    await other.evaluate(() => window.dispatchEvent(new Event('focus')));
    return other.locator('.row-open', { hasText: 'First of two tabs' }).count();
  }, { timeout: 30_000, interval: 500 }).toBe(2);
});

/** Frames while something goes on: how many, and the longest and the 95th percentile between two, in milliseconds. */
async function frames(work: () => Promise<void>): Promise<{ count: number; p95: number; longest: number }> {
  await page.evaluate(() => {
    const times: number[] = [];
    (window as any).frames_ = times;
    let last = performance.now();
    const tick = (now: number) => { times.push(now - last); last = now; requestAnimationFrame(tick); };
    requestAnimationFrame(tick);
  });
  await work();
  const times = (await page.evaluate(() => (window as any).frames_ as number[])).sort((one, other) => one - other);
  return { count: times.length, p95: Math.round(times[Math.floor(times.length * 0.95)] ?? 0), longest: Math.round(times.at(-1) ?? 0) };
}

test('2,000 chats, 20,000 tokens and 60 pictures are no burden', async () => {
  const folder = join(all.server.data, 'sessions');
  mkdirSync(folder, { recursive: true });
  const turn = { question: [{ text: 'x' }], answer: 'y', typed: 'x', staged: 0, cut: false, reasoning: '', model: 'demo', usage: {}, timing: {} };
  for (let index = 0; index < 2000; index++) {
    const id = `20250101-000000-${index.toString(16).padStart(4, '0')}`;
    writeFileSync(join(folder, `${id}.json`), JSON.stringify({ mistralrs_chat: 1, id, created: '', title: '', model: {}, system: null, turns: [{ ...turn, question: [{ text: `Chat ${index}` }] }] }));
  }
  page = await opened(all.browser, all.server);
  await page.waitForFunction(() => document.querySelectorAll('.row').length > 10);
  const list = await frames(async () => {
    for (let step = 0; step < 30; step++) {
      await page.locator('.rows').evaluate((box, at) => box.scrollTo(0, at * 2500), step);
      await page.waitForTimeout(20);
    }
  });
  expect(await page.locator('.row').count()).toBeLessThan(60);
  expect(await page.locator('.row').last().getAttribute('aria-setsize')).toMatch(/^20\d\d$/);

  const piece = 'Words that go on and on, **some bold**, `code`, and more.\n\n- one\n- two\n\n```python\nprint("x")\n```\n\n';
  await page.evaluate((text) => {
    const real = window.fetch;
    window.fetch = async (input, init) => {
      if (!String(input).includes('chat/completions')) return real(input, init);
      const encoder = new TextEncoder();
      let sent = 0;
      const stream = new ReadableStream({
        async pull(controller) {
          if (sent++ >= 1000) { controller.enqueue(encoder.encode('data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":20000}}\n\ndata: [DONE]\n\n')); controller.close(); return; }
          for (let token = 0; token < 20; token++) controller.enqueue(encoder.encode(`data: ${JSON.stringify({ choices: [{ index: 0, delta: { content: text.slice(((sent * 20 + token) * 5) % text.length).slice(0, 5) } }] })}\n\n`));
          await new Promise((resolve) => setTimeout(resolve, 5));
        },
      });
      return new Response(stream, { headers: { 'Content-Type': 'text/event-stream' } });
    };
  }, piece);
  const answer = await frames(async () => {
    await composer(page).fill('go on');
    await composer(page).press('Enter');
    await page.locator('.numbers').waitFor({ timeout: 200_000 });
  });

  await page.getByRole('button', { name: 'New chat' }).first().click();
  const picture = readFileSync(join(import.meta.dirname, '..', '..', 'examples', 'media', 'red_circle.png'));
  await page.getByTestId('files').setInputFiles(Array.from({ length: 60 }, (_, index) => ({ name: `p${index}.png`, mimeType: 'image/png', buffer: Buffer.concat([picture, Buffer.from([index])]) })));
  await page.locator('.attachment').nth(59).waitFor();
  await composer(page).fill('all of them');
  await composer(page).press('Enter');
  await page.locator('.bubble .medium').nth(59).waitFor();
  const pictures = await frames(async () => {
    for (let step = 0; step < 30; step++) {
      await page.locator('.scroll').evaluate((box, at) => box.scrollTo(0, (box.scrollHeight * at) / 30), step);
      await page.waitForTimeout(30);
    }
  });
  console.log(JSON.stringify({ list, answer, pictures }));
  // generous: the machine may be busy; a page that does all its work again for each token needs seconds
  for (const found of [list, answer, pictures]) expect(found.p95).toBeLessThan(500);
}, 400_000);

test('the first paint comes soon', async () => {
  page = await opened(all.browser, all.server);
  const paints: number[] = [];
  for (let time = 0; time < 3; time++) {
    await page.reload();
    await page.getByRole('button', { name: 'Send' }).waitFor();
    paints.push(await page.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? Infinity));
  }
  console.log(JSON.stringify({ paints: paints.map(Math.round) }));
  expect(Math.min(...paints)).toBeLessThan(2000); // 0.5 s on a quiet machine
});
