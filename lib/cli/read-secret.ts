const SECRET_CHARS_MAX = 64 * 1024;

/** A secret from standard input: on a terminal its first line that is not empty, else all of it. Never from the command line. */
export async function readSecret(question: string): Promise<string> {
  const { stdin } = process;
  if (stdin.isTTY) process.stderr.write(question);
  let text = '';
  stdin.setEncoding('utf8');
  for await (const chunk of stdin as AsyncIterable<string>) {
    text += chunk;
    if (text.length > SECRET_CHARS_MAX || (stdin.isTTY && /\S\s*\n/.test(text))) break;
  }
  stdin.destroy();
  return text.trim();
}
