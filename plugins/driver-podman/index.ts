import { decodeFields } from '../../lib/plugin/sdk/config-schema.js';
import { DriverError, type DriverPlugin } from '../../lib/plugin/sdk/driver.js';
import { EngineDriver } from '../driver-docker/driver.js';
import type { EngineKind } from '../driver-docker/engine.js';
import { engineProblems } from '../driver-docker/plugin-problems.js';
import { decodePodman, loggingBlock, PLUGIN_FIELDS } from './config.js';

/** What is Podman's own among the engines that speak Docker's API. */
const PODMAN: EngineKind = {
  name: 'podman',
  title: 'Podman service',
  endpointVariable: '',
  defaultEndpoint: 'unix:///run/podman/podman.sock',
  service: 'podman.socket',
  holdsTasks: false,
  seeksPlugins: false,
  namesEach: true,
  // At the path that is Docker's it looks at the container without a pause: several percent of a core for each.
  wait: (containerId) => ({
    path: `/v4.0.0/libpod/containers/${containerId}/wait?`,
    options: { interval: '250ms' },
  }),
  decode: decodePodman,
};

/** Runs containers on Podman, through the part of its API that is Docker's. */
const plugin: DriverPlugin = {
  name: 'podman',
  configProblems(config) {
    const decoded = decodeFields(PLUGIN_FIELDS, config);
    return 'problems' in decoded ? decoded.problems : engineProblems(decoded.config);
  },
  create(options) {
    const decoded = decodeFields(PLUGIN_FIELDS, options.config);
    if ('problems' in decoded) throw new DriverError(decoded.problems[0]?.message ?? '', { recoverable: false });
    const { socket_path: endpoint, logging: log, ...config } = decoded.config;
    const logging = log && { type: '', ...loggingBlock(log) };
    return new EngineDriver(PODMAN, { ...config, endpoint, logging, tls: null, infra_image_labels: {} }, options);
  },
};
export default plugin;
