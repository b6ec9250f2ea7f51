/** Finds the command that argv names and runs it; resolves to the exit code. */
export async function main(argv: string[]): Promise<number> {
  process.stderr.write(`meshnomad: unknown command ${JSON.stringify(argv[0] ?? '')}\n`);
  return 127;
}
