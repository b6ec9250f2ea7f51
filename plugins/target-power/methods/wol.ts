import type { ScalerRpc } from '../../../lib/plugin/sdk/autoscaler.js';
import type { Machine } from './machine.js';

/** Has a node beside the machine send its magic packet; says which. */
export async function wakeOnLan(
  { node, mac, neighbours }: Machine,
  { rpc, signal }: { rpc: ScalerRpc; signal: AbortSignal },
): Promise<string> {
  if (mac === '') throw new Error(`the hardware address of ${node.Name} is not known: it must have been up once`);
  const failures: string[] = [];
  for (const neighbour of neighbours) {
    try {
      await rpc.call('ClientPower.Wake', { NodeID: neighbour.ID, MacAddress: mac }, { signal });
      return neighbour.Name;
    } catch (error) {
      failures.push(`${neighbour.Name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  throw new Error(failures.length > 0 ? failures.join('; ') : `no node is up that could wake ${node.Name}`);
}
