/** What a card is called, and MiB of its memory. */
export interface CardMemory {
  readonly model: string;
  readonly memoryMiB: number;
}

/** The display controllers by PCI address ("0000:01:00.0"), as far as systeminformation finds out. */
export async function memoryOfCards(): Promise<Map<string, CardMemory>> {
  const { default: machine } = await import('systeminformation');
  const found = await machine.graphics().then(
    ({ controllers }) => controllers,
    () => [],
  );
  return new Map(
    found.flatMap(({ busAddress, model, vram }): [string, CardMemory][] => {
      const address = /^(?:([0-9a-f]{4,8}):)?([0-9a-f]{2}:[0-9a-f]{2}\.[0-7])$/i.exec(busAddress ?? '');
      if (!address || typeof vram !== 'number' || vram <= 0) return [];
      return [[`${(address[1] ?? '0000').slice(-4)}:${address[2]}`.toLowerCase(), { model, memoryMiB: vram }]];
    }),
  );
}
