/**
 * MiB of memory by what a card is called, as far as systeminformation finds out: the least of cards that are called alike. By name, for it
 * writes the PCI addresses that OpenCL's tools tell in decimal, and takes what lspci tells of windows into memory for memory: lspci calls
 * cards by other names than the driver and OpenCL do.
 */
export async function memoryByModel(): Promise<Map<string, number>> {
  const { default: machine } = await import('systeminformation');
  const found = await machine.graphics().then(
    ({ controllers }) => controllers,
    () => [],
  );
  const memories = new Map<string, number>();
  for (const { model, vram } of found) {
    if (typeof vram === 'number' && vram > 0) memories.set(model, Math.min(vram, memories.get(model) ?? vram));
  }
  return memories;
}
