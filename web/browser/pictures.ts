/** Takes the screenshots of the page in docs/images: three sizes in both schemes, with the demo model's own answers. */

import { join } from 'node:path';
import { test } from 'vitest';
import { ask, attach, composer, launch, opened, ROOT, Server } from './server';

const SIZES = { wide: { width: 1280, height: 800 }, tablet: { width: 820, height: 1000 }, phone: { width: 390, height: 800 } };

test('the pictures', async () => {
  const [browser, server] = await Promise.all([launch(), new Server().start()]);
  let first = true;
  for (const [name, viewport] of Object.entries(SIZES)) {
    for (const colorScheme of ['light', 'dark'] as const) {
      const page = await opened(browser, server, { viewport, colorScheme, reducedMotion: 'reduce' });
      if (first) {
        for (const [file, words] of [['red_circle.png', 'What is in this picture?'], ['beeps.wav', 'How many beeps do you hear?']] as const) {
          await attach(page, file);
          await page.getByText(/\d tokens/).first().waitFor();
          await ask(page, words);
          await page.getByRole('button', { name: 'New chat' }).first().click();
        }
        await attach(page, 'before.png', 'after.png');
        await page.getByText(/\d tokens/).nth(1).waitFor();
        await ask(page, 'What changed between these images?');
        first = false;
      } else {
        if (!(await page.locator('.row-open').first().isVisible())) await page.getByRole('button', { name: 'Show chats' }).click();
        await page.locator('.row-open').first().click();
      }
      await page.locator('.bubble img').nth(1).waitFor();
      await attach(page, 'clip.mp4');
      await page.getByText(/32 of 50 frames/).waitFor();
      await composer(page).fill('And what happens in this clip?');
      await page.mouse.move(2, 2);
      await page.waitForTimeout(300);
      await page.screenshot({ path: join(ROOT, 'docs', 'images', `page-${name}-${colorScheme}.png`) });
      await page.context().close();
    }
  }
  await browser.close();
  await server.close();
});
