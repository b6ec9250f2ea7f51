import type { CsiTopology } from '../../structs/csi.js';
import { MeshError } from '../../structs/errors.js';
import { liesApart } from './controllers.js';
import type { PluginView } from './plugins.js';

interface Page {
  readonly MaxEntries: number;
  readonly StartingToken: string;
}

interface Reply<T> {
  readonly Entries: T[];
  readonly NextToken: string;
}

/**
 * A page of what a plugin lists. Where each controller knows only what lies on its own node, it is what all of them list, one after
 * the other; a token then says with which of them to go on: `PLACE.TOKEN`.
 */
export async function listed<T>(
  plugin: PluginView | undefined,
  { MaxEntries, StartingToken }: Page,
  ask: (page: Page, where: readonly CsiTopology[] | null) => Promise<Reply<T>>,
): Promise<Reply<T>> {
  if (!plugin || !liesApart(plugin)) return ask({ MaxEntries, StartingToken }, null);
  const places = [...plugin.nodes]
    .filter(([nodeId]) => plugin.controllers.get(nodeId)?.Healthy)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, { NodeInfo }]) => NodeInfo?.AccessibleTopology ?? { Segments: {} });
  if (places.length === 0) return ask({ MaxEntries, StartingToken }, null);
  const Entries: T[] = [];
  let [at, token] = startOf(StartingToken);
  for (; at < places.length; at++) {
    const reply = await ask({ MaxEntries: MaxEntries - Entries.length, StartingToken: token }, [
      places[at] as CsiTopology,
    ]);
    Entries.push(...reply.Entries);
    token = reply.NextToken;
    if (token !== '') return { Entries, NextToken: `${at}.${token}` };
    if (Entries.length >= MaxEntries) return { Entries, NextToken: at + 1 < places.length ? `${at + 1}.` : '' };
  }
  return { Entries, NextToken: '' };
}

function startOf(token: string): [at: number, token: string] {
  if (token === '') return [0, ''];
  const found = /^(\d{1,5})\.(.*)$/s.exec(token);
  if (!found) throw new MeshError('E_BAD_REQUEST', `next_token ${JSON.stringify(token)} is none of this list's`);
  return [Number(found[1]), found[2] as string];
}
