import type { CsiClaim, CsiDetachProof, CsiPastClaim, StoredCsiVolume } from '../structs/csi.js';
import { allowsWriting, claimsInTheWay } from '../structs/csi-access.js';
import { MeshError } from '../structs/errors.js';
import { assertNever } from '../util/assert.js';
import type { Millis } from '../util/clock.js';
import { err, ok, type Result } from '../util/result.js';

// A claim is an allocation's right to use a volume on one node, and a lease: who cannot renew it stops. Its life:
//
//            release                 node-detached              controller-detached
//   taken ────────────► unpublishing ──────────────► node-detached ───────────────► (freed)
//     └──────────────────────┴── node-detached, and no controller has to do anything ──┘
//
// Every arrow is an entry of the log, so whoever leads next goes on where the last one stopped. A claim counts as held until
// it is freed, whatever its allocation does: that is what keeps a second writer away. What is asked for twice, or late, by
// somebody who knows an older claim (its fence is another), changes nothing.
//
// Force is no proof. A release by force ends what still writes instead of waiting for it, and asks neither plugin nor controller
// for leave; but a node that cannot be asked is waited for until its lease is over, as ever.

/** How many ended claims a volume remembers. */
const PAST_CLAIMS_MAX = 20;

/** What an allocation asks for. */
export interface ClaimRequest
  extends Pick<
    CsiClaim,
    'AllocationID' | 'NodeID' | 'ExternalNodeID' | 'Mode' | 'AccessMode' | 'AttachmentMode' | 'ControllerRequired'
  > {}

/** What happened to a claim. */
export type ClaimStep =
  /** `reason`: by force, and why a person wants it. */
  | { readonly kind: 'release'; readonly reason?: string }
  /** `reason`: with proof `forced`, which logs of older versions hold. */
  | { readonly kind: 'node-detached'; readonly proof: CsiDetachProof; readonly reason?: string }
  | { readonly kind: 'controller-detached' }
  /** Its release waits for something; '' = for nothing any more. */
  | { readonly kind: 'waits'; readonly what: string };

/**
 * The volume with the claim granted. Asked for again by the allocation that holds it, it stays the same one. E_CONFLICT names who
 * is in the way; E_BAD_REQUEST: the volume cannot be used like this at all.
 */
export function grantClaim(
  volume: StoredCsiVolume,
  wanted: ClaimRequest,
  at: { readonly index: number; readonly time: Millis },
): Result<{ volume: StoredCsiVolume; claim: CsiClaim }, MeshError> {
  const impossible = whyNever(volume, wanted);
  if (impossible !== '') return err(new MeshError('E_BAD_REQUEST', `volume "${volume.ID}" ${impossible}`));
  const own = volume.Claims[wanted.AllocationID];
  if (own !== undefined) return regrant(volume, own, wanted);
  const inTheWay = claimsInTheWay(volume, wanted);
  const first = inTheWay[0];
  if (first !== undefined) {
    return err(new MeshError('E_CONFLICT', `volume "${volume.ID}" is held by ${describeClaim(first)}`));
  }
  const claim: CsiClaim = {
    ...wanted,
    State: 'taken',
    Fence: at.index,
    TakenAt: at.time,
    ReleasedAt: 0,
    Proof: '',
    WaitsFor: '',
    WaitsSince: 0,
    ForcedReason: '',
  };
  return ok({
    claim,
    volume: {
      ...volume,
      AccessMode: claim.AccessMode,
      AttachmentMode: claim.AttachmentMode,
      Claims: { ...volume.Claims, [claim.AllocationID]: claim },
    },
  });
}

function whyNever(volume: StoredCsiVolume, wanted: ClaimRequest): string {
  const { AccessMode, AttachmentMode, Mode } = wanted;
  const known = volume.RequestedCapabilities;
  if (known.length > 0 && !known.some((c) => c.AccessMode === AccessMode && c.AttachmentMode === AttachmentMode)) {
    const has = known.map((c) => `${c.AccessMode} as ${c.AttachmentMode}`).join(', ');
    return `cannot be used as ${AccessMode} (${AttachmentMode}): it is registered for ${has}`;
  }
  if (Mode === 'write' && !allowsWriting(AccessMode)) return `is for reading only as ${AccessMode}`;
  return '';
}

function regrant(
  volume: StoredCsiVolume,
  own: CsiClaim,
  wanted: ClaimRequest,
): Result<{ volume: StoredCsiVolume; claim: CsiClaim }, MeshError> {
  if (own.State !== 'taken' || own.NodeID !== wanted.NodeID || own.Mode !== wanted.Mode) {
    return err(
      new MeshError('E_CONFLICT', `the claim of allocation ${wanted.AllocationID} on "${volume.ID}" is being released`),
    );
  }
  return ok({ volume, claim: own });
}

/**
 * The volume after a step of one of its claims; the same object when the step says nothing new: the claim is gone, is another one
 * (by its fence) or is further.
 */
export function stepClaim(
  volume: StoredCsiVolume,
  which: { readonly allocId: string; readonly fence: number },
  step: ClaimStep,
  time: Millis,
): StoredCsiVolume {
  const claim = volume.Claims[which.allocId];
  if (claim === undefined || claim.Fence !== which.fence) return volume;
  const ReleasedAt = claim.ReleasedAt === 0 ? time : claim.ReleasedAt;
  switch (step.kind) {
    case 'release':
      return released(volume, { ...claim, ReleasedAt }, step.reason ?? '');
    case 'node-detached': {
      const ForcedReason = step.reason ?? claim.ForcedReason;
      if (claim.State === 'node-detached') {
        return step.proof === 'forced' ? withClaim(volume, { ...claim, ForcedReason }) : volume;
      }
      const next: CsiClaim = {
        ...claim,
        State: 'node-detached',
        ReleasedAt,
        Proof: step.proof,
        ForcedReason,
        WaitsFor: '',
        WaitsSince: 0,
      };
      return needsController(volume, next) ? withClaim(volume, next) : freed(volume, next, time);
    }
    case 'controller-detached':
      return claim.State === 'node-detached' ? freed(volume, claim, time) : volume;
    case 'waits': {
      if (claim.WaitsFor === step.what) return volume;
      const since = claim.WaitsFor === '' || claim.WaitsSince === 0 ? time : claim.WaitsSince;
      return withClaim(volume, { ...claim, WaitsFor: step.what, WaitsSince: step.what === '' ? 0 : since });
    }
    default:
      return assertNever(step);
  }
}

/** By force also what is being released already: then it is hurried from now on. */
function released(volume: StoredCsiVolume, claim: CsiClaim, reason: string): StoredCsiVolume {
  if (claim.State === 'taken') return withClaim(volume, { ...claim, State: 'unpublishing', ForcedReason: reason });
  if (reason === '' || claim.ForcedReason !== '') return volume;
  return withClaim(volume, { ...claim, ForcedReason: reason, WaitsFor: '', WaitsSince: 0 });
}

/** The last that has the volume on its node is followed by the controller. */
function needsController(volume: StoredCsiVolume, claim: CsiClaim): boolean {
  if (!claim.ControllerRequired) return false;
  return !Object.values(volume.Claims).some((other) => {
    return (
      other.AllocationID !== claim.AllocationID && other.NodeID === claim.NodeID && other.State !== 'node-detached'
    );
  });
}

function withClaim(volume: StoredCsiVolume, claim: CsiClaim): StoredCsiVolume {
  return { ...volume, Claims: { ...volume.Claims, [claim.AllocationID]: claim } };
}

function freed(volume: StoredCsiVolume, claim: CsiClaim, time: Millis): StoredCsiVolume {
  const { [claim.AllocationID]: _gone, ...Claims } = volume.Claims;
  const { AllocationID, NodeID, Mode, Fence, TakenAt, ReleasedAt, ForcedReason } = claim;
  const Proof = claim.Proof === '' ? 'node' : claim.Proof;
  const past: CsiPastClaim = {
    AllocationID,
    NodeID,
    Mode,
    Fence,
    TakenAt,
    ReleasedAt,
    ForcedReason,
    Proof,
    FreedAt: time,
  };
  const unused = Object.keys(Claims).length === 0;
  return {
    ...volume,
    AccessMode: unused ? '' : volume.AccessMode,
    AttachmentMode: unused ? '' : volume.AttachmentMode,
    Claims,
    PastClaims: [...volume.PastClaims, past].slice(-PAST_CLAIMS_MAX),
  };
}

/** `allocation 6c3b3703 on node ac41c184 (single-node-writer), which is being released`. */
export function describeClaim(claim: CsiClaim): string {
  const alloc = claim.AllocationID.slice(0, 8);
  const how = claim.ForcedReason === '' ? '' : ' by force';
  const releasing =
    claim.State === 'taken' ? '' : `, which is being released${how}: it waits for ${releaseWaitsFor(claim)}`;
  return `allocation ${alloc} on node ${claim.NodeID.slice(0, 8)} (${claim.AccessMode})${releasing}`;
}

/** What a release waits for: as it was told, and before that what comes next; '' of a claim that is held. */
export function releaseWaitsFor({ State, NodeID, WaitsFor }: CsiClaim): string {
  if (WaitsFor !== '' || State === 'taken') return WaitsFor;
  return State === 'unpublishing' ? `node ${NodeID.slice(0, 8)} to unmount it` : 'the controller to detach it';
}

/** What is known of the world around a claim. */
export interface ClaimFacts {
  readonly now: Millis;
  /** `ended`: its client, or the servers in its place, said so. `gone`: collected as garbage. */
  readonly alloc: 'live' | 'ended' | 'gone';
  /** `up`: it sends heartbeats. */
  readonly node: 'up' | 'away';
  /** From when on the node's leases are over, should it stay away. */
  readonly leaseEndsMs: Millis;
}

/** What is to be done next about a claim. */
export type ClaimAction =
  | { readonly kind: 'none' }
  /** Enter a step into the log. */
  | { readonly kind: 'step'; readonly step: ClaimStep }
  /** Nothing can be done before this time. */
  | { readonly kind: 'wait'; readonly what: string; readonly untilMs: Millis }
  | { readonly kind: 'ask-node' }
  | { readonly kind: 'ask-controller' };

/** What a leader does next about a claim; asked again after each step. */
export function nextClaimAction(claim: CsiClaim, facts: ClaimFacts): ClaimAction {
  switch (claim.State) {
    case 'taken':
      return facts.alloc === 'live' ? { kind: 'none' } : { kind: 'step', step: { kind: 'release' } };
    case 'unpublishing':
      if (facts.node === 'up') return { kind: 'ask-node' };
      if (facts.now >= facts.leaseEndsMs) return { kind: 'step', step: { kind: 'node-detached', proof: 'lease' } };
      return {
        kind: 'wait',
        what: `node ${claim.NodeID.slice(0, 8)} to come back, or its lease to end: it may write until then`,
        untilMs: facts.leaseEndsMs,
      };
    case 'node-detached':
      return { kind: 'ask-controller' };
    default:
      return assertNever(claim.State);
  }
}
