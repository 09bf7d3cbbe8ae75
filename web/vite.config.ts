import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { defineConfig, type Plugin } from 'vite';

/** What a build is made from; `tests/server/test_page.py` knows the same. */
const SOURCES = ['index.html', 'package-lock.json', 'vite.config.ts', 'src'];

/** Writes the hash of the sources beside what is built, so that a stale build shows without building again. */
function sources(): Plugin {
  return {
    name: 'sources',
    generateBundle() {
      const hash = createHash('sha256');
      for (const file of SOURCES.flatMap(filesIn)) hash.update(`${file}\n`).update(readFileSync(file));
      this.emitFile({ type: 'asset', fileName: 'sources.sha256', source: `${hash.digest('hex')}\n` });
    },
  };
}

function filesIn(name: string): string[] {
  if (name.includes('.')) return [name];
  const entries = readdirSync(name, { withFileTypes: true, recursive: true }).filter((entry) => entry.isFile());
  return entries.map((entry) => join(entry.parentPath, entry.name)).sort();
}

export default defineConfig({
  base: './',
  plugins: [sources()],
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    outDir: '../mistralrs_cli/server/page/built',
    emptyOutDir: true,
    target: 'es2022',
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 700,
  },
  server: { proxy: { '/v1': 'http://127.0.0.1:1234', '/ui/': 'http://127.0.0.1:1234' } },
});
