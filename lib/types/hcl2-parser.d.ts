declare module 'hcl2-parser' {
  const parser: {
    /** [value, null], or [null, an error without content]. */
    parseToObject(source: string): [unknown, unknown];
  };
  export default parser;
}
