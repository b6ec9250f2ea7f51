import { cgroupFingerprint } from './cgroup.js';
import { cniFingerprint } from './cni.js';
import { cpuFingerprint } from './cpu.js';
import type { Fingerprint } from './fact.js';
import { hardwareFingerprint } from './hardware.js';
import { hostFingerprint } from './host.js';
import { hostVolumePluginsFingerprint } from './host-volume-plugins.js';
import { memoryFingerprint } from './memory.js';
import { mountsFingerprint } from './mounts.js';
import { networkFingerprint } from './network.js';
import { secretPluginsFingerprint, secretsFingerprint } from './secrets.js';
import { storageFingerprint } from './storage.js';
import { versionFingerprint } from './version.js';

/** Everything a client finds out about its machine, apart from the drivers. */
export const FINGERPRINTS: readonly Fingerprint[] = [
  versionFingerprint,
  hostFingerprint,
  cpuFingerprint,
  memoryFingerprint,
  storageFingerprint,
  mountsFingerprint,
  networkFingerprint,
  cniFingerprint,
  cgroupFingerprint,
  hardwareFingerprint,
  hostVolumePluginsFingerprint,
  secretsFingerprint,
  secretPluginsFingerprint,
];
