import type { StateSnapshot } from '../../state/store.js';
import type { CsiVolumeSeed } from '../../state/volume-commands.js';
import type { CsiSecrets, CsiVolumeSpec, StoredCsiVolume } from '../../structs/csi.js';
import type { SealedCsiPart, SealedText } from '../../structs/csi-sealed.js';
import { MeshError } from '../../structs/errors.js';
import { isEqual } from '../../util/equal.js';
import type { CsiVolumeDraft } from '../csi/spec.js';
import type { ServerWorld } from '../world.js';
import { decrypt, encrypt, type Keyring } from './keyring.js';

/** What of a volume is for its plugin alone, in clear. */
export type VolumeSecrets = Pick<CsiVolumeSpec, 'Secrets' | 'MountOptions'>;

export interface VolumeKeeping extends Pick<ServerWorld, 'store'> {
  readonly keyring: Keyring;
}

type Place = Pick<CsiVolumeSpec, 'Namespace' | 'ID'>;

/** What the encryption of a part of a volume is bound to. No variable has a context of this form. */
export const volumeContext = ({ Namespace, ID }: Place, part: SealedCsiPart): string =>
  `csi-volume\0${Namespace}\0${ID}\0${part}`;

/** Opens what is sealed of a volume, as it is stored now. Throws E_STORAGE when a key is not to be had here. */
export async function openVolume({ keyring, store }: VolumeKeeping, volume: StoredCsiVolume): Promise<VolumeSecrets> {
  const state = store.snapshot();
  // It may lie under another key than when the caller read it, and that one be forgotten.
  const { Secrets, MountOptions } = state.csiVolumeById(volume.Namespace, volume.ID) ?? volume;
  const open = (part: SealedCsiPart, sealed: SealedText): Promise<unknown> =>
    openText(keyring, state, sealed, volumeContext(volume, part));
  const flags = MountOptions?.MountFlags;
  return {
    Secrets: Secrets && ((await open('secrets', Secrets)) as CsiSecrets),
    MountOptions: MountOptions && {
      FSType: MountOptions.FSType,
      MountFlags: flags ? ((await open('mount-flags', flags)) as string[]) : null,
    },
  };
}

async function openText(keyring: Keyring, state: StateSnapshot, sealed: SealedText, context: string): Promise<unknown> {
  const key = await keyring.byId(state, sealed.KeyID);
  return JSON.parse(decrypt(key, context, sealed.Data)) as unknown;
}

/** A volume as the log may have it. Throws what `Keyring.active` throws, if there is anything to seal. */
export async function sealVolume(
  keeping: VolumeKeeping & { readonly ensureKey: () => Promise<void> },
  draft: CsiVolumeDraft,
): Promise<CsiVolumeSeed> {
  const { Secrets, MountOptions, ...rest } = draft;
  const seal = async (part: SealedCsiPart, what: unknown): Promise<SealedText> => {
    await keeping.ensureKey();
    const key = await keeping.keyring.active(keeping.store.snapshot());
    const { keyId, data } = encrypt(key, volumeContext(draft, part), JSON.stringify(what));
    return { KeyID: keyId, Data: data };
  };
  const flags = MountOptions?.MountFlags ?? [];
  const kept = flags.length > 0 ? await keptFlags(keeping, draft, flags) : null;
  return {
    ...rest,
    Secrets: Secrets && { ...(await seal('secrets', Secrets)), Keys: Object.keys(Secrets) },
    MountOptions: MountOptions && {
      FSType: MountOptions.FSType,
      MountFlags: flags.length > 0 ? (kept ?? (await seal('mount-flags', flags))) : null,
    },
  };
}

/** The flags of the volume as they lie there, if they are these: sealed anew they would look like a change to the log. */
async function keptFlags(keeping: VolumeKeeping, draft: CsiVolumeDraft, flags: string[]): Promise<SealedText | null> {
  const existing = keeping.store.snapshot().csiVolumeById(draft.Namespace, draft.ID);
  const sealed = existing?.MountOptions?.MountFlags;
  if (!existing || !sealed) return null;
  try {
    const { MountOptions } = await openVolume(keeping, existing);
    return isEqual(MountOptions?.MountFlags, flags) ? sealed : null;
  } catch (error) {
    // What cannot be opened any more is replaced.
    if (error instanceof MeshError) return null;
    throw error;
  }
}
