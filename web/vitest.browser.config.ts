import { defineConfig } from 'vitest/config';

/** The page in a real browser, against the demo model: `make test-ui`. */
export default defineConfig({
  test: { include: ['browser/**/*.test.ts'], testTimeout: 120_000, hookTimeout: 180_000, fileParallelism: false },
});
