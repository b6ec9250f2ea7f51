#!/usr/bin/env node
// The reader (head, less) has seen enough.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));
const { main } = await import('../lib/cli/main.js').catch((error: Error) => {
  // What would say this better may be what is missing.
  console.error(
    `meshnomad is not installed whole: install it again (in a clone: npm ci && npm run build)\n${error.message}`,
  );
  process.exit(1);
});
process.exitCode = await main(process.argv.slice(2));
