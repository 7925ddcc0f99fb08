/** Tests are TypeScript as ES modules: swc strips the types, Node's own resolution takes the `.ts` specifiers as they stand. */
export default {
  roots: ['<rootDir>/src', '<rootDir>/test'],
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      { jsc: { parser: { syntax: 'typescript' }, target: 'esnext' }, module: { type: 'es6' } },
    ],
  },
  reporters: ['default', '<rootDir>/test/support/totals-reporter.mjs'],
  // Integration tests start daemons and tokens, each a process of its own beside the worker.
  maxWorkers: 2,
  testTimeout: 120_000,
  injectGlobals: false,
  watchman: false,
}
