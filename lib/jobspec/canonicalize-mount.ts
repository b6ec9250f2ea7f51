import type { VolumeMount } from '../structs/volume.js';
import { or } from './loose.js';
import type { Raw } from './schema/field.js';

/** A mount of a task or of a proxy beside it. */
export function canonicalMount(raw: Raw): VolumeMount {
  return {
    Volume: or(raw['Volume'], ''),
    Destination: or(raw['Destination'], ''),
    ReadOnly: or(raw['ReadOnly'], false),
    PropagationMode: or(raw['PropagationMode'], 'private'),
    SELinuxLabel: or(raw['SELinuxLabel'], ''),
  };
}
