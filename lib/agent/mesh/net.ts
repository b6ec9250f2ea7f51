import type { NetReport, NodeKey } from '../../structs/mesh.js';
import type { MeshMemberStub } from '../../structs/rpc-mesh.js';
import type { RpcHandlers } from '../../transport/rpc.js';
import type { Member } from './member.js';

type Health = MeshMemberStub['Health'];

/** How long a member may take to tell how it is linked. */
const ASK_MS = 3_000;

/** What each agent tells of its own network, and what a server gathers from all that it reaches. */
export function netHandlers(
  member: Member,
  { isServer, health }: { isServer: boolean; health: (key: NodeKey) => Health },
): RpcHandlers {
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
            Unreached.push({ Key: key, Name: nameOf(key), Why: whyNot(health(key), error as Error) });
          }
        }),
      );
      const Names = Object.fromEntries(roster.members().map((key) => [key, nameOf(key)]));
      return { Reports, Unreached, Names, Index: 1, LastContactMs: 0, KnownLeader: true };
    },
  };
}

/** Why a member did not tell: what all members know of it comes before what this one has tried. */
function whyNot(health: Health, { message }: Error): string {
  switch (health) {
    case 'dead':
      return 'it is off, or cut off: no member hears it';
    case 'left':
      return 'it was stopped';
    case 'unknown':
      return 'no member has heard of it since this server started: does its agent run ("meshnomad up" there)?';
    case 'alive':
    case 'suspect':
      // Its name stands before it.
      return message.replace(/^no link to member [0-9a-f]+ /, 'no link ');
  }
}
