import { defineConfig } from 'vitest/config';

/** The page in a real browser, against the demo model: `make test-ui`; with PICTURES its screenshots: `make picture`. */
const include = process.env['PICTURES'] ? ['browser/pictures.ts'] : ['browser/**/*.test.ts'];

export default defineConfig({ test: { include, testTimeout: 120_000, hookTimeout: 180_000, fileParallelism: false } });
