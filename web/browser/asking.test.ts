/** Asking about media, from the file to the answer. */

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { answering, ask, attach, composer, MEDIA, opened, ROOT, shared } from './server';

let page: Page;
const all = shared(() => page);

const PYTHON = join(ROOT, '.venv', 'bin', 'python');
const kinds = (asked: Record<string, any>) => asked['messages'].at(-1).content.map((part: { type: string }) => part.type);

test('a picture is dropped, asked about, and the terminal goes on with the chat', async () => {
  page = await opened(all.browser, all.server);
  const bytes = readFileSync(join(MEDIA, 'red_circle.png')).toString('base64');
  const data = await page.evaluateHandle((base64) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0))], 'red_circle.png', { type: 'image/png' }));
    return transfer;
  }, bytes);
  await page.dispatchEvent('body', 'dragenter', { dataTransfer: data });
  await page.getByText('Drop to add to your question').waitFor();
  await page.dispatchEvent('body', 'drop', { dataTransfer: data });
  await page.getByText(/480×360 PNG · \d+ tokens/).waitFor();
  await ask(page, 'What is in this picture?');
  await page.getByText('A red circle.').first().waitFor();
  const env = { ...process.env, MISTRALRS_DATA_DIR: all.server.data };
  const said = execFileSync(join(ROOT, '.venv', 'bin', 'mistralrs'), ['run', '--continue', '--quiet'], { env, input: 'Which color is it?\n' }).toString();
  expect(said.toLowerCase()).toContain('red');
  await page.reload();
  await page.locator('.row-open').first().click();
  await page.getByText('Which color is it?').waitFor(); // and the page with the terminal's
  await page.locator('.bubble img').waitFor();
});

test('a medium is sent once, and again where the server has it no longer', async () => {
  page = await opened(all.browser, all.server);
  const sent: { path: string; size: number }[] = [];
  page.on('request', (request) => { if (request.method() === 'POST') sent.push({ path: new URL(request.url()).pathname, size: Number(request.headers()['content-length'] ?? 0) }); });
  const asked = await answering(page, 'Well.');
  await attach(page, 'red_circle.png');
  await page.getByText(/480×360/).waitFor();
  await ask(page, 'One?');
  await ask(page, 'Two?');
  expect(sent.filter(({ path }) => path === '/ui/media').length).toBe(1);
  expect(asked[1]!['messages'][0].content[0].image_url.url).toMatch(/^upload:[0-9a-f]{64}$/);
  await page.unroute('**/v1/chat/completions');
  await page.route('**/v1/chat/completions', async (route) => { // as if it had expired
    const body = route.request().postDataJSON();
    body.messages[0].content[0].image_url.url = `upload:${'0'.repeat(64)}`;
    await route.continue({ postData: JSON.stringify(body) });
  }, { times: 1 });
  await ask(page, 'What is it?');
  await page.getByText('A red circle.').first().waitFor();
  expect(sent.filter(({ path }) => path === '/ui/media').length).toBe(2);
});

test('a chat goes on without a medium that is gone', async () => {
  page = await opened(all.browser, all.server);
  const turn = { question: [{ kind: 'image', source: 'lost.png', sha256: 'ab'.repeat(32), options: {} }, { text: 'What is it?' }], answer: 'A cat.', typed: '', staged: 1, cut: false, reasoning: '', model: 'demo', usage: {}, timing: {} };
  const chat = { mistralrs_chat: 1, id: '20260101-000000-10st', created: '', title: '', model: {}, system: null, turns: [turn] };
  await page.request.put(`${all.server.url}/ui/chats/${chat.id}`, { headers: all.server.headers, data: { chat, version: null } });
  await page.reload();
  await page.locator('.row-open', { hasText: 'lost.png' }).click();
  await page.getByText('cannot be shown').waitFor();
  const asking = page.waitForRequest((request) => request.url().endsWith('/v1/chat/completions') && !request.postData()!.includes('upload:'));
  await ask(page, 'Are you sure?');
  expect((await asking).postDataJSON().messages[0].content[0].text).toBe('[image lost.png: no longer available]');
});

test('a clip is given with its sound, and stays with it', async () => {
  page = await opened(all.browser, all.server);
  const clip = join(all.server.data, 'loud.mp4');
  execFileSync(execFileSync(PYTHON, ['-c', 'from mistralrs_cli.media.ffmpeg import executable; print(executable())']).toString().trim(), ['-v', 'error', '-i', join(MEDIA, 'clip.mp4'), '-i', join(MEDIA, 'beeps.wav'), '-c:v', 'copy', '-c:a', 'aac', '-shortest', clip]);
  await page.getByTestId('files').setInputFiles(clip);
  await page.locator('.got', { hasText: 'its sound not given' }).waitFor();
  await page.locator('.attachment-open', { hasText: 'loud.mp4' }).click();
  await page.locator('dialog').getByLabel('Sound').selectOption('given after the frames');
  await page.getByText('Hears').waitFor();
  await page.getByRole('button', { name: 'Done' }).click();
  const asked = await answering(page, 'Beeps.');
  await ask(page, 'What do you hear?');
  expect(kinds(asked[0]!)).toEqual(['video_url', 'text']);
  expect(asked[0]!['messages'][0].content[0].video_url.soundtrack).toBe(true);
  expect(await page.locator('.bubble .medium').count()).toBe(2); // as the terminal keeps it
  await ask(page, 'Again?');
  expect(asked[1]!['messages'][0].content.length).toBe(2);
});

test('media and texts are sent in the order in which they stand', async () => {
  page = await opened(all.browser, all.server);
  const asked = await answering(page, 'Well.');
  await composer(page).fill('First some words. Then more.');
  await composer(page).evaluate((area: HTMLTextAreaElement) => area.setSelectionRange(17, 17));
  await attach(page, 'red_circle.png', 'beeps.wav');
  await page.getByText(/tokens/).nth(1).waitFor();
  await composer(page).press('Enter');
  await page.locator('.numbers').waitFor();
  expect(kinds(asked[0]!)).toEqual(['text', 'image_url', 'audio_url', 'text']);
});

test('media are moved, taken out, and have texts between them, by keys alone', async () => {
  page = await opened(all.browser, all.server);
  const asked = await answering(page, 'Well.');
  await attach(page, 'red_circle.png', 'clip.mp4', 'beeps.wav');
  await page.locator('.attachment').nth(2).waitFor();
  await page.locator('.attachment-open', { hasText: 'beeps.wav' }).focus();
  await page.keyboard.press('Alt+ArrowLeft');
  await page.keyboard.press('Alt+ArrowLeft');
  await page.locator('.attachment-open', { hasText: 'red_circle.png' }).focus();
  await page.keyboard.press('Delete');
  await page.getByRole('button', { name: 'Text before clip.mp4' }).focus();
  await page.keyboard.press('Enter');
  await page.keyboard.type('and this');
  await composer(page).fill('What happens?');
  await composer(page).press('Enter');
  await page.locator('.numbers').waitFor();
  expect(kinds(asked[0]!)).toEqual(['audio_url', 'text', 'video_url', 'text']);
});

test('a part of a clip is chosen on its strip', async () => {
  page = await opened(all.browser, all.server);
  const asked = await answering(page, 'Well.');
  await attach(page, 'clip.mp4');
  await page.getByText(/32 of 50 frames/).waitFor();
  await page.locator('.attachment-open', { hasText: 'clip.mp4' }).click();
  expect(await page.locator('.strip img').count()).toBe(12);
  const end = page.getByRole('slider', { name: 'End' });
  const box = (await page.locator('.range-line').boundingBox())!;
  await page.mouse.move(box.x + box.width - 2, box.y + 10);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width / 2, box.y + 10, { steps: 4 });
  await page.mouse.up();
  await page.getByText(/0.0 s to 1.0 s of 2.0 s/).waitFor();
  await end.focus();
  await page.keyboard.press('ArrowLeft');
  await page.getByText(/0.0 s to 0.9 s of 2.0 s/).waitFor();
  await page.getByRole('button', { name: 'Done' }).click();
  await ask(page, 'What happens?');
  const part = asked[0]!['messages'].at(-1).content[0].video_url;
  expect(part.start).toBeUndefined();
  expect(part.end).toBeCloseTo(0.9, 1);
});

test('a picture is cropped and turned', async () => {
  page = await opened(all.browser, all.server);
  await attach(page, 'red_circle.png');
  await page.getByText(/480×360 PNG/).waitFor();
  await page.locator('.attachment-open', { hasText: 'red_circle.png' }).click();
  await page.getByRole('button', { name: 'Turn right' }).click();
  await page.getByText(/360×480 pixels/).waitFor();
  await page.getByRole('button', { name: 'Crop', exact: true }).click();
  await page.getByRole('group', { name: /Part to keep/ }).focus();
  await page.keyboard.press('Shift+ArrowLeft');
  await page.getByRole('button', { name: 'Crop to this' }).click();
  await page.getByText(/281×384 pixels/).waitFor();
});

test('the microphone, the camera and the screen', async () => {
  page = await opened(all.browser, all.server);
  await page.getByRole('button', { name: 'Record from the microphone' }).click();
  await page.getByText(/^[3-9]\.\d s$/).waitFor();
  await page.getByRole('button', { name: 'Use it' }).click();
  await page.getByText(/^[2-9]\.\d s.* · [\d,]+ tokens/).waitFor();
  await page.getByRole('button', { name: 'Take a picture with the camera' }).click();
  await page.locator('.viewfinder').evaluate((player: HTMLVideoElement) => new Promise((resolve) => (player.videoWidth ? resolve(1) : (player.onplaying = resolve))));
  await page.getByRole('button', { name: 'Take a picture', exact: true }).click();
  await page.getByText(/\d+×\d+ PNG · \d+ tokens/).waitFor();
  await ask(page, 'What is this?');
  await page.locator('.bubble audio').waitFor();
  await page.locator('.bubble img').waitFor();
});

test('a picture and a long text are pasted', async () => {
  page = await opened(all.browser, all.server);
  const bytes = readFileSync(join(MEDIA, 'red_circle.png')).toString('base64');
  await page.evaluate(async (base64) => {
    const blob = new Blob([Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0))], { type: 'image/png' });
    await navigator.clipboard.write([new ClipboardItem({ 'image/png': blob, 'text/plain': new Blob(['words beside it'], { type: 'text/plain' }) })]);
  }, bytes);
  await composer(page).press('Control+V');
  await page.getByText(/480×360 PNG/).waitFor();
  expect(await composer(page).inputValue()).toBe('words beside it'); // nothing of it is lost
  await composer(page).fill('');
  await page.evaluate(() => navigator.clipboard.writeText('a line of it\n'.repeat(3000)));
  await composer(page).press('Control+V');
  await page.locator('.attachment-open', { hasText: 'pasted.txt' }).waitFor();
  await page.evaluate(() => navigator.clipboard.writeText('<b>What?</b>'));
  await composer(page).press('Control+V');
  expect(await composer(page).inputValue()).toBe('<b>What?</b>');
});

test('cards are dragged to another place', async () => {
  page = await opened(all.browser, all.server);
  await attach(page, 'red_circle.png', 'clip.mp4', 'beeps.wav');
  const names = () => page.locator('.attachment-name').allInnerTexts();
  await page.locator('.slot').nth(2).waitFor();
  await page.locator('.slot').nth(2).locator('.attachment-name').dragTo(page.locator('.slot').nth(0));
  await expect.poll(names).toEqual(['beeps.wav', 'red_circle.png', 'clip.mp4']);
});

test('a clip of the camera, and the screen', async () => {
  page = await opened(all.browser, all.server);
  await page.getByRole('button', { name: 'Take a picture with the camera' }).click();
  await page.getByRole('button', { name: 'Record a clip' }).click();
  await page.locator('.viewfinder').evaluate((player: HTMLVideoElement) => new Promise((resolve) => { player.ontimeupdate = () => { if (player.currentTime > 2) resolve(1); }; }));
  await page.getByRole('button', { name: 'Stop and use the clip' }).click();
  await page.locator('.attachment.video', { hasText: /\d+ tokens/ }).waitFor();
  await page.evaluate(() => { // a browser without a window has no screen to give
    const canvas = Object.assign(document.createElement('canvas'), { width: 320, height: 200 });
    const paint = () => { canvas.getContext('2d')!.fillRect(0, 0, 320, 200); requestAnimationFrame(paint); };
    paint();
    navigator.mediaDevices.getDisplayMedia = async () => canvas.captureStream();
  });
  await page.getByRole('button', { name: 'Capture the screen' }).click();
  await page.locator('.viewfinder').evaluate((player: HTMLVideoElement) => new Promise((resolve) => (player.videoWidth ? resolve(1) : (player.onplaying = resolve))));
  await page.getByRole('button', { name: 'Take a picture', exact: true }).click();
  await page.getByText(/320×200 PNG · \d+ tokens/).waitFor();
});

test('an answer is stopped, continued, and given again', async () => {
  page = await opened(all.browser, all.server);
  await page.route('**/v1/chat/completions', async (route) => {
    const body = route.request().postDataJSON();
    await route.continue({ postData: JSON.stringify({ ...body, ignore_eos: true, max_tokens: 4000 }) });
  });
  await composer(page).fill('What can you do?');
  await composer(page).press('Enter');
  await page.locator('.answer .block').first().waitFor();
  await page.getByRole('button', { name: 'Stop' }).click();
  await page.getByText('Stopped here.').waitFor();
  const before = (await page.locator('.answer .markdown').innerText()).trim();
  expect(before.length).toBeGreaterThan(0);
  await page.unroute('**/v1/chat/completions');
  const asked = await answering(page, ' And more.');
  await page.getByRole('button', { name: 'Continue the answer' }).click();
  await page.locator('.markdown', { hasText: 'And more.' }).waitFor();
  expect(asked[0]!['messages'].at(-1).role).toBe('assistant');
  expect(asked[0]!['continue_final_message']).toBe(true);
  await page.getByRole('button', { name: 'Answer again' }).click();
  await page.waitForFunction(() => document.querySelector('.markdown')?.textContent?.trim() === 'And more.');
  expect(await page.locator('.turn').count()).toBe(1);
  await page.getByText('2/2').waitFor(); // both answers are kept
  await page.getByRole('button', { name: 'Previous branch' }).click();
  await page.waitForFunction((text) => document.querySelector('.markdown')?.textContent?.trim().startsWith(text.slice(0, 10)), before);
  await page.getByText('1/2').waitFor();
});

test('an earlier question is asked otherwise, and both chats stay', async () => {
  page = await opened(all.browser, all.server);
  await answering(page, 'Well.');
  await ask(page, 'One?');
  await ask(page, 'Two?');
  await page.getByRole('button', { name: 'Edit the question' }).first().click();
  expect(await composer(page).inputValue()).toBe('One?');
  await composer(page).fill('Another?');
  await composer(page).press('Enter');
  await page.getByText('2/2').waitFor();
  expect(await page.locator('.turn').count()).toBe(1);
  await page.getByRole('button', { name: 'Previous branch' }).click();
  await page.getByText('Two?').waitFor();
  expect(await page.getByText('1/2').count()).toBe(1);
  const { chats } = (await (await page.request.get(`${all.server.url}/ui/chats`, { headers: all.server.headers })).json()) as { chats: { title: string }[] };
  expect(chats.map((chat) => chat.title)).toEqual(expect.arrayContaining(['One?', 'Another?']));
});

test('a question that fails is in its place again, with its media', async () => {
  page = await opened(all.browser, all.server);
  await page.route('**/v1/chat/completions', (route) => route.fulfill({ status: 500, contentType: 'application/json', body: '{"error": {"message": "It did not work."}}' }));
  await attach(page, 'red_circle.png');
  await page.getByText(/480×360/).waitFor();
  await composer(page).fill('What is it?');
  await composer(page).press('Enter');
  await page.getByText('It did not work.').waitFor();
  expect(await composer(page).inputValue()).toBe('What is it?');
  expect(await page.locator('.attachment').count()).toBe(1);
});

test('settings, a form for the answer and tools reach the request; a tool is a card', async () => {
  page = await opened(all.browser, all.server);
  await page.getByRole('button', { name: 'Settings' }).click();
  await page.getByLabel('Temperature').fill('0.3');
  await page.getByLabel('Instructions for this chat').fill('Be brief.');
  await page.getByRole('button', { name: 'Add a field' }).click();
  await page.getByLabel('Name of field 1').fill('color');
  await page.getByLabel('Tools, as JSON').fill('[{"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}]');
  await page.getByRole('button', { name: 'Done' }).click();
  const call = { index: 0, id: 'a', function: { name: 'weather', arguments: '{"city": "Oslo"}' } };
  const asked = await answering(page, '', { delta: { tool_calls: [call] }, finish_reason: 'tool_calls' });
  await ask(page, 'How is it?');
  const first = asked[0]!;
  expect(first['temperature']).toBe(0.3);
  expect(first['messages'][0]).toEqual({ role: 'system', content: 'Be brief.' });
  expect(first['response_format'].json_schema.schema.required).toEqual(['color']);
  expect(first['tools'][0].function.name).toBe('weather');
  await page.getByText('"city": "Oslo"').waitFor();
  await page.unroute('**/v1/chat/completions');
  const again = await answering(page, 'It rains.');
  await page.getByLabel('What weather returns').fill('rain');
  await page.getByRole('button', { name: 'Give it to the model' }).click();
  await page.locator('.markdown', { hasText: 'It rains.' }).waitFor();
  expect(again[0]!['messages'].slice(-2)).toEqual([
    { role: 'assistant', content: '', tool_calls: [{ id: 'a', type: 'function', function: { name: 'weather', arguments: '{"city": "Oslo"}' } }] },
    { role: 'tool', tool_call_id: 'a', name: 'weather', content: 'rain' },
  ]);
  await ask(page, 'And tomorrow?'); // what the tool has said is a part of the chat
  expect(again[1]!['messages'].map((message: { role: string }) => message.role)).toEqual(['system', 'user', 'assistant', 'tool', 'assistant', 'user']);
  await reopened();
  await page.getByLabel('Tool weather').getByText('rain').waitFor();
  expect(await page.getByLabel('What weather returns').count()).toBe(0);
});

/** Load the page again, and open the chat that was changed last. */
async function reopened(): Promise<void> {
  await expect.poll(async () => (await page.request.get(`${all.server.url}/ui/chats`, { headers: all.server.headers })).json().then((found) => found.chats.length)).toBeGreaterThan(0);
  await page.waitForTimeout(300); // the last write of the chat
  await page.reload();
  await page.locator('.row-open').first().click();
}

test('boxes and points are drawn over the picture', async () => {
  page = await opened(all.browser, all.server);
  await answering(page, 'There.', { boxes: [{ label: 'circle', media: 0, box: [140, 80, 340, 280] }], points: [{ label: 'middle', media: 0, point: [240, 180] }] });
  await attach(page, 'red_circle.png');
  await page.getByText(/480×360/).waitFor();
  await ask(page, 'Where is it?');
  await page.getByRole('img', { name: 'red_circle.png with circle, middle marked' }).waitFor();
  expect(await page.locator('.marks rect').getAttribute('width')).toBe('200');
  await reopened();
  await page.getByRole('img', { name: 'red_circle.png with circle, middle marked' }).waitFor();
});

test('boxes in a clip are drawn over the frame they are in', async () => {
  page = await opened(all.browser, all.server);
  const ball = { label: 'ball', media: 0 };
  await answering(page, 'There.', { boxes: [{ ...ball, box: [10, 20, 50, 60], time: 0.5 }, { ...ball, box: [30, 20, 70, 60], time: 1 }] });
  await attach(page, 'clip.mp4');
  await page.locator('.attachment').waitFor();
  await ask(page, 'Where is it?');
  await page.getByText('clip.mp4 at 0.5 s: ball (10, 20, 50, 60)').waitFor();
  expect(await page.locator('.marked-clip rect').getAttribute('x')).toBe('10');
  await page.getByRole('button', { name: '1 s', exact: true }).click();
  await page.getByText('clip.mp4 at 1 s: ball (30, 20, 70, 60)').waitFor();
  await expect.poll(() => page.locator('.marked-clip video').evaluate((clip: HTMLVideoElement) => clip.currentTime)).toBe(1);
});

test('an answer at its limit of tokens goes on, also once the chat is opened again', async () => {
  page = await opened(all.browser, all.server);
  await answering(page, 'So far', { finish_reason: 'length' });
  await ask(page, 'Tell me.');
  await page.getByText('reached its limit of tokens').waitFor();
  await reopened();
  await page.getByText('reached its limit of tokens').waitFor();
  await page.unroute('**/v1/chat/completions');
  await answering(page, ', and the end.');
  await page.getByRole('button', { name: 'Continue the answer' }).click();
  await page.locator('.markdown', { hasText: 'So far, and the end.' }).waitFor();
  await expect.poll(() => page.getByRole('button', { name: 'Continue the answer' }).count()).toBe(0);
});

test('a chat that is deleted while it is being answered stays deleted', async () => {
  page = await opened(all.browser, all.server);
  await page.route('**/v1/chat/completions', async (route) => {
    const body = route.request().postDataJSON();
    await route.continue({ postData: JSON.stringify({ ...body, ignore_eos: true, max_tokens: 4000 }) });
  });
  await composer(page).fill('Not to be kept?');
  await composer(page).press('Enter');
  await page.locator('.answer .block').first().waitFor();
  await page.locator('.row', { hasText: 'Not to be kept?' }).hover();
  await page.getByRole('button', { name: 'Delete Not to be kept?' }).click();
  const deleted = page.waitForResponse((response) => response.request().method() === 'DELETE');
  await page.getByRole('button', { name: 'Delete', exact: true }).click();
  expect((await deleted).status()).toBe(204);
  await page.unroute('**/v1/chat/completions');
  await answering(page, 'Well.');
  await ask(page, 'Another?'); // by then the stopped answer has ended
  const { chats } = (await (await page.request.get(`${all.server.url}/ui/chats`, { headers: all.server.headers })).json()) as { chats: { title: string }[] };
  expect(chats.map((chat) => chat.title)).not.toContain('Not to be kept?');
});

test('a model that is loading for others does not keep the page from asking', async () => {
  page = await opened(all.browser, all.server);
  const data = [{ id: 'large', status: 'loading' }, { id: 'small', status: 'unloaded' }];
  await page.route('**/v1/models', (route) => route.fulfill({ json: { object: 'list', data } }));
  await page.reload();
  await page.getByRole('combobox', { name: 'Model' }).waitFor();
  await composer(page).fill('Are you there?');
  expect(await page.getByRole('button', { name: 'Send' }).isEnabled()).toBe(true);
});

test('a question that fails stays in the chat where another is being written', async () => {
  page = await opened(all.browser, all.server);
  let fail = (): void => undefined;
  const failing = new Promise<void>((resolve) => (fail = resolve));
  await page.route('**/v1/chat/completions', async (route) => {
    await failing;
    await route.fulfill({ status: 500, contentType: 'application/json', body: '{"error": {"message": "It did not work."}}' });
  });
  await composer(page).fill('First?');
  await composer(page).press('Enter');
  await page.getByRole('button', { name: 'Stop' }).waitFor();
  await composer(page).fill('Second?');
  fail();
  await page.getByText('It did not work.').waitFor();
  expect(await composer(page).inputValue()).toBe('Second?');
  await page.locator('.turn', { hasText: 'First?' }).getByRole('button', { name: 'Answer again' }).waitFor();
});

test('a document goes as the pages that were chosen, and stays in the chat page by page', async () => {
  page = await opened(all.browser, all.server);
  const asked = await answering(page, 'Two pages.');
  await page.getByTestId('files').setInputFiles({ name: 'doc.pdf', mimeType: 'application/pdf', buffer: pdf(3) });
  await page.getByText(/3 pages · \d+ tokens/).waitFor();
  await page.locator('.attachment-open', { hasText: 'doc.pdf' }).click();
  await page.getByLabel('Pages').fill('2-3');
  await page.getByLabel('Pages').blur();
  await page.getByAltText('Page 2').waitFor();
  await page.getByRole('button', { name: 'Done' }).click();
  await page.getByText(/2 pages · \d+ tokens/).waitFor();
  await ask(page, 'What do they say?');
  expect(asked[0]!['messages'].at(-1).content.map((part: any) => part.image_url?.pages ?? part.type)).toEqual(['2,3', 'text']);
  const stored = async () => (await (await page.request.get(`${all.server.url}/ui/chats`, { headers: all.server.headers })).json()).chats as { id: string; title: string }[];
  await expect.poll(async () => (await stored())[0]?.title, { timeout: 30_000 }).toContain('doc.pdf');
  const chats = await stored();
  const { chat } = await (await page.request.get(`${all.server.url}/ui/chats/${chats[0]!.id}`, { headers: all.server.headers })).json();
  expect(chat.turns[0].question.slice(0, 2).map((part: any) => part.options.pages)).toEqual(['2', '3']);
});

test('a picture that browsers cannot open is shown as the model gets it', async () => {
  page = await opened(all.browser, all.server);
  await answering(page, 'A circle.');
  // Chromium opens no JPEG 2000; HEIC takes the same way
  const file = join(all.server.data, 'circle.jp2');
  execFileSync(PYTHON, ['-c', 'import sys; from PIL import Image; Image.open(sys.argv[1]).convert("RGB").save(sys.argv[2])', join(MEDIA, 'red_circle.png'), file]);
  await page.getByTestId('files').setInputFiles({ name: 'circle.heic', mimeType: 'image/heic', buffer: readFileSync(file) });
  await page.getByText(/480×360 .*tokens/).waitFor();
  await page.locator('.attachment-open', { hasText: 'circle.heic' }).click();
  await page.getByText('This browser cannot open the picture').waitFor();
  await page.getByRole('button', { name: 'Done' }).click();
  await ask(page, 'What is it?');
  await page.locator('.bubble img[src^="data:image/jpeg"]').waitFor();
});

/** A PDF of empty pages. */
function pdf(pages: number): Buffer {
  const kids = Array.from({ length: pages }, (_, at) => `${at + 3} 0 R`);
  const objects = ['<</Type/Catalog/Pages 2 0 R>>', `<</Type/Pages/Count ${pages}/Kids[${kids.join(' ')}]>>`, ...kids.map(() => '<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 100]>>')];
  let text = '%PDF-1.4\n';
  const places = objects.map((object, at) => { const place = text.length; text += `${at + 1} 0 obj${object}endobj\n`; return place; });
  const start = text.length;
  text += `xref\n0 ${objects.length + 1}\n0000000000 65535 f \n${places.map((place) => `${String(place).padStart(10, '0')} 00000 n \n`).join('')}`;
  return Buffer.from(`${text}trailer<</Size ${objects.length + 1}/Root 1 0 R>>\nstartxref\n${start}\n%%EOF`);
}
