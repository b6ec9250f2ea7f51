import { MeshError } from '../structs/errors.js';
import type { MeshInfo, MeshMember } from '../structs/mesh.js';
import type { RosterReply } from '../structs/rpc-mesh.js';
import type { Log } from '../util/log.js';
import {
  JOIN_VERSION,
  JoinChannel,
  type JoinRequest,
  REQUEST_MAX_BYTES,
  readRequest,
  type ServerPlace,
} from './join-messages.js';
import type { Connection } from './network.js';
import type { RpcCaller } from './rpc.js';
import { type SigningKey, sign, verify } from './signature.js';

// The server's side of join/1: whoever comes with an invite is told who we are, says who it is, and is put before the leader.

/** So long a joiner may take for each of its two messages. */
const SAY_MS = 10_000;
/** So long the leader may take to decide. */
const DECIDE_MS = 20_000;
/** A joiner that waits for approval hears from us so often. */
const WAIT_EVERY_MS = 15_000;
/** Joiners at a time: at most 32 KiB each. */
const JOINERS_MAX = 512;

export interface JoinDoorOptions {
  readonly identity: SigningKey;
  /** This server's own certificates, the newest. */
  chain(): readonly string[];
  /** This server's own handlers, or whoever forwards to the leader: Mesh.Redeem, Mesh.Member. */
  readonly rpc: RpcCaller;
  /** All members, of which the joiner is told the servers, and who carried it. */
  members(): RosterReply['Members'];
  /** Where servers may be reached, as far as it is known. */
  places(): readonly ServerPlace[];
  readonly log: Log;
}

/** Serves the connections of invites; never throws, never leaves one open that says nothing. */
export function createJoinDoor(options: JoinDoorOptions): (connection: Connection) => void {
  let open = 0;
  return (connection) => {
    const channel = new JoinChannel(connection.stream, REQUEST_MAX_BYTES);
    open++;
    const served =
      open > JOINERS_MAX
        ? Promise.reject(new MeshError('E_TOO_MANY', 'too many machines join at the moment'))
        : serve(options, connection, channel);
    void served
      .catch((error: unknown) => {
        const told =
          error instanceof MeshError ? error : new MeshError('E_INTERNAL', 'the server failed; its log has more');
        channel.send({ Type: 'refused', Code: told.code, Message: told.message });
        const why = error instanceof MeshError ? error.message : String((error as Error)?.stack ?? error);
        options.log.warn('a machine was not let in', { invite: connection.remoteKey, code: told.code, why });
      })
      .finally(() => {
        open--;
        channel.close();
      });
  };
}

async function serve(options: JoinDoorOptions, connection: Connection, channel: JoinChannel): Promise<void> {
  const { identity, rpc, log } = options;
  const { handshakeHash, remoteKey: invite, carried, path } = connection;
  const first = await channel.receive(SAY_MS);
  if (first.Type !== 'join') throw new MeshError('E_BAD_REQUEST', 'this is not join/1');
  const Signature = sign(identity, 'meshnomad/join-server/1', handshakeHash, invite).toString('base64url');
  channel.send({ Type: 'server', Version: JOIN_VERSION, Chain: options.chain(), Signature });
  const request = readRequest(await channel.receive(SAY_MS));
  checkProof(request, connection);
  const { Key, Name, Rename, Facts, Replace } = request;
  const redeemed = await rpc.call(
    'Mesh.Redeem',
    { InviteKey: invite, Key, Name, Rename, Facts, ...(Replace === '' ? {} : { Replace }) },
    { timeoutMs: DECIDE_MS },
  );
  const member = redeemed.Member.Status === 'pending' ? await approved(redeemed.Member, channel, rpc) : redeemed.Member;
  if (member === undefined) return;
  channel.send({
    Type: 'joined',
    Member: member,
    Mesh: forMember(redeemed.Mesh, member),
    Members: options.members().filter(({ Key, Role, Status }) => {
      // Who carried the joiner here is its way to the servers from now on, too.
      return Status === 'admitted' && (Role === 'server' || (carried && Key === path().Relay));
    }),
    Places: options.places(),
  });
  log.info('a machine joined', { name: member.Name, role: member.Role, key: member.Key, invite: member.InviteID });
}

/** The joiner holds the key it names, and says so on this very connection. */
function checkProof({ Key, Signature }: JoinRequest, { handshakeHash, remoteKey }: Connection): void {
  const signature = Buffer.from(Signature, 'base64url');
  if (!verify({ by: Key, signature }, 'meshnomad/join/1', handshakeHash, Key)) {
    throw new MeshError('E_PERMISSION_DENIED', 'the machine does not hold the key it names');
  }
  if (Key === remoteKey) throw new MeshError('E_BAD_REQUEST', 'the key of an invite is nobody’s own');
}

/** Waits with the joiner until somebody approves; undefined when the joiner went away. */
async function approved(pending: MeshMember, channel: JoinChannel, rpc: RpcCaller): Promise<MeshMember | undefined> {
  channel.send({ Type: 'pending', Name: pending.Name, Words: pending.Words });
  let index = pending.ModifyIndex;
  while (!channel.ended) {
    const reply = await rpc.call('Mesh.Member', {
      Key: pending.Key,
      AllowStale: true,
      MinQueryIndex: index,
      MaxQueryTimeMs: WAIT_EVERY_MS,
    });
    index = reply.Index;
    const member = reply.Member;
    if (member?.Status === 'admitted') return member;
    if (member?.Status !== 'pending') throw new MeshError('E_PERMISSION_DENIED', 'it was not approved');
    channel.send({ Type: 'wait' });
  }
  return undefined;
}

/** What a member gets to know of the mesh: the sealed root is for servers. */
function forMember(mesh: MeshInfo, { Role }: MeshMember): MeshInfo {
  return Role === 'server' ? mesh : { ...mesh, SealedRoot: '' };
}
