import type { NomadSection } from '../../agent/standalone/index.js';
import { connect } from '../api.js';
import type { Command, Flags } from '../command.js';
import { takeArgs } from '../print.js';

export const command: Command = {
  usage: 'meshnomad autoscaler [options]',
  about: `Runs an autoscaler in a process of its own, in the foreground until SIGINT or SIGTERM. SIGHUP reads its policy files
again. Files are HCL or JSON with the keys of Nomad's autoscaler; flags win over files, and files over the environment.

A server has an autoscaler already, which acts while that server leads. It stands back while this one runs; of several such
processes one acts, and another takes over within a minute when that one dies.`,
  flags: {
    config: {
      type: 'list',
      value: 'path',
      help: 'A configuration file, or a directory of them; may be given several times.',
    },
    'policy-dir': { type: 'string', value: 'path', help: 'A directory with policy files.' },
    'plugin-dir': { type: 'string', value: 'path', help: 'Where further plugins lie.' },
    'http-bind-address': { type: 'string', value: 'addr', help: 'Where it tells of itself, default 127.0.0.1.' },
    'http-bind-port': { type: 'int', value: 'port', help: 'Its port, default 8080; 0 for any free one.' },
    'log-level': { type: 'string', value: 'level', help: 'trace, debug, info (default), warn, error or off.' },
    'log-json': { type: 'bool', help: 'Log JSON lines.' },
  },
  async run({ args, flags, output, env }) {
    takeArgs(args, 0, 0, '');
    const request = {
      configPaths: flags.list('config'),
      flags: {
        logLevel: flags.string('log-level'),
        logJson: flags.optionalBool('log-json'),
        pluginDir: flags.string('plugin-dir'),
        policyDir: flags.string('policy-dir'),
        httpAddress: flags.string('http-bind-address'),
        httpPort: flags.int('http-bind-port'),
      },
      connect: (nomad: NomadSection) =>
        connect(withConfig(flags, nomad), nomad.httpAuth === '' ? env : { ...env, NOMAD_HTTP_AUTH: nomad.httpAuth }),
    };
    const { runStandalone } = await import('../../agent/standalone/index.js');
    return runStandalone(request, output);
  },
};

/** The flags, and where they say nothing the configuration. The namespace is each policy's own. */
function withConfig(flags: Flags, nomad: NomadSection): Flags {
  const said: Record<string, string> = {
    address: nomad.address,
    region: nomad.region,
    token: nomad.token,
    'ca-cert': nomad.caCert,
    'ca-path': nomad.caPath,
    'client-cert': nomad.clientCert,
    'client-key': nomad.clientKey,
    'tls-server-name': nomad.tlsServerName,
  };
  return {
    ...flags,
    bool: (name) => flags.bool(name) || (name === 'tls-skip-verify' && nomad.skipVerify),
    string: (name) => flags.string(name) ?? (said[name] === '' ? undefined : said[name]),
    optionalBool: (name) => flags.optionalBool(name),
    int: (name) => flags.int(name),
    duration: (name) => flags.duration(name),
    list: (name) => flags.list(name),
  };
}
