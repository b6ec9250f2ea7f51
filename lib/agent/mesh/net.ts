import type { NetReport } from '../../structs/mesh.js';
import type { RpcHandlers } from '../../transport/rpc.js';
import type { Member } from './member.js';

/** How long a member may take to tell how it is linked. */
const ASK_MS = 3_000;

/** What each agent tells of its own network, and what a server gathers from all that it reaches. */
export function netHandlers(member: Member, isServer: boolean): RpcHandlers {
  const { peers, roster, nameOf } = member;
  const own = async () => ({ Report: peers.report() });
  if (!isServer) return { 'Mesh.NetReport': own };
  return {
    'Mesh.NetReport': own,
    'Mesh.Net': async () => {
      // A person's command line answers nothing, and is gone in a moment.
      const others = roster.members().filter((key) => key !== peers.key && roster.find(key)?.role !== 'operator');
      const Reports: NetReport[] = [peers.report()];
      const Unreached: { Key: string; Name: string; Why: string }[] = [];
      await Promise.all(
        others.map(async (key) => {
          try {
            Reports.push((await peers.caller(key).call('Mesh.NetReport', {}, { timeoutMs: ASK_MS })).Report);
          } catch (error) {
            Unreached.push({ Key: key, Name: nameOf(key), Why: (error as Error).message });
          }
        }),
      );
      const Names = Object.fromEntries(roster.members().map((key) => [key, nameOf(key)]));
      return { Reports, Unreached, Names, Index: 1, LastContactMs: 0, KnownLeader: true };
    },
  };
}
