/** Every entry of the replicated log. */
export type Command = { readonly type: 'noop' };
