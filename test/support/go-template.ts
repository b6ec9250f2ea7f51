import { parse } from '@evertdespiegeleer/go-template';

/** Go's own text/template, told to refuse missing keys: gives the output or its error. */
export async function goRender(): Promise<(template: string, data: unknown) => string> {
  // The first call starts the engine; what it leaves behind answers at once, and tells errors whole.
  await parse('', {});
  const { Render } = globalThis as unknown as { Render: (template: string, data: string) => string };
  return (template, data) => Render(template, JSON.stringify(data));
}
