import type { ServerPeers } from '../../server/ports.js';
import type { LinkReport, NodeKey } from '../../structs/mesh.js';
import type { MeshGossip } from '../../transport/gossip.js';
import type { AgentSettings } from '../settings.js';
import { type MachineTraits, machineTraits } from './machine.js';
import type { Member } from './member.js';

/** What the kernel says of wire and power changes seldom. */
const TRAITS_KEPT_MS = 10_000;

/** The other servers, as this one reaches and sees them. */
export function serverPeers(options: { member: Member; gossip: MeshGossip; settings: AgentSettings }): ServerPeers {
  const { member, gossip, settings } = options;
  const { peers, servers } = member;
  let traits: MachineTraits | undefined;
  let lookedAt = 0;
  const link = (id: NodeKey): LinkReport | null => peers.linked().find(({ key }) => key === id)?.report ?? null;
  return {
    serverCaller: (id) => peers.caller(id),
    health: (id) => gossip.health(id),
    onHealth(listener) {
      gossip.onChange((change) => {
        if (change.type !== 'member' || change.record.state === change.before?.state) return;
        listener(change.record.key, change.record.state);
      });
    },
    link,
    self() {
      if (!traits || performance.now() - lookedAt > TRAITS_KEPT_MS) {
        traits = machineTraits();
        lookedAt = performance.now();
      }
      const links = servers().flatMap((key) => link(key) ?? []);
      return {
        Name: settings.nodeName,
        Version: settings.version,
        NeverVotes: !settings.mesh.voter,
        Wired: traits.wired,
        Mains: traits.mains,
        ServerLinks: links.length,
        RelayedLinks: links.filter(({ Path }) => Path.Kind === 'relayed').length,
      };
    },
  };
}
