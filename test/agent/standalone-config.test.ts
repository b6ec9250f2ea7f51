import t from 'tap';
import { loadStandalone } from '../../lib/agent/standalone/config.js';

const load = (source: string, flags: Parameters<typeof loadStandalone>[1] = {}) =>
  loadStandalone([{ name: 'autoscaler.hcl', source }], flags);

/** As the documentation of Nomad's autoscaler has it. */
const NOMADS = `
log_level  = "debug"
log_json   = true
plugin_dir = "/opt/plugins"
enable_debug = false

http {
  bind_address = "10.0.0.10"
  bind_port    = 9999
}

nomad {
  address     = "https://my.nomad.address:4646"
  region      = "esp-vlc-1"
  token       = "a-token"
  http_auth   = "admin:s3cret"
  ca_cert     = "/etc/ca.pem"
  skip_verify = true
  block_query_wait_time = "1m"
}

policy {
  dir                         = "/opt/policies"
  default_cooldown            = "10m"
  default_evaluation_interval = "30s"
  source "nomad" {
    enabled = false
  }
}

policy_eval {
  delivery_limit = 4
  ack_timeout    = "3m"
  workers = {
    cluster    = 3
    horizontal = 1
  }
}

telemetry {
  prometheus_metrics = true
  disable_hostname   = true
}

high_availability {
  enabled   = true
  lock_path = "nomad-autoscaler/lock"
  lock_ttl  = "30s"
}

apm "prometheus" {
  driver = "prometheus"
  config = {
    address = "http://127.0.0.1:9090"
  }
}

strategy "target-value" {
  driver = "target-value"
}

target "aws-asg" {
  driver = "aws-asg"
  args   = ["-x"]
  config = {
    aws_region = "us-east-1"
  }
}
`;

t.test('a configuration of Nomad’s autoscaler is read as it is', async (t) => {
  const loaded = load(NOMADS);
  if (!loaded.ok) throw new Error(loaded.error);
  const { config, notices } = loaded.value;
  t.match(config, {
    log: { level: 'debug', json: true },
    pluginDir: '/opt/plugins',
    http: { address: '10.0.0.10', port: 9999 },
    nomad: { address: 'https://my.nomad.address:4646', token: 'a-token', httpAuth: 'admin:s3cret', skipVerify: true },
    policy: {
      dir: '/opt/policies',
      cooldownMs: 600_000,
      evaluationIntervalMs: 30_000,
      fromFiles: true,
      fromJobs: false,
    },
    slots: { cluster: 3, horizontal: 1 },
    leaseMs: 30_000,
    patienceMs: { horizontal: 180_000, cluster: 45 * 60_000 },
    apm: { prometheus: { driver: 'prometheus', config: { address: 'http://127.0.0.1:9090' } } },
    target: { 'aws-asg': { args: ['-x'], config: { aws_region: 'us-east-1' } } },
  });
  t.ok(notices.every((notice) => /has no effect: /.test(notice)));
  t.equal(notices.length, 7);
});

t.test('what is not said has the defaults of Nomad’s autoscaler; flags win', async (t) => {
  const loaded = load('http {\n  bind_port = 1\n}', { httpPort: 0, logLevel: 'WARN', policyDir: '/p' });
  if (!loaded.ok) throw new Error(loaded.error);
  t.match(loaded.value.config, {
    log: { level: 'warn', json: false },
    http: { address: '127.0.0.1', port: 0 },
    policy: { dir: '/p', cooldownMs: 300_000, evaluationIntervalMs: 10_000, fromFiles: true, fromJobs: true },
    slots: { cluster: 10, horizontal: 10 },
    leaseMs: 60_000,
    nomad: { address: '' },
  });
});

t.test('mistakes are named', async (t) => {
  for (const [source, message] of [
    ['polcy {\n}', /Did you mean "policy"\?/],
    ['nomad {\n  adress = "x"\n}', /The block "nomad" has no key "adress"/],
    ['log_level = "loud"', /must be one of "trace"/],
    ['http {\n  bind_port = 70000\n}', /bind_port is 70000/],
    ['policy {\n  default_cooldown = "soon"\n}', /must be a duration/],
    ['policy {\n  default_evaluation_interval = "10ms"\n}', /must be at least 1s/],
    ['policy {\n  source "file2" {\n    enabled = true\n  }\n}', /policy.source "file2" is none of/],
    ['policy_eval {\n  workers = {\n    cluster = 0\n  }\n}', /workers.cluster is 0/],
    ['high_availability {\n  lock_ttl = "5s"\n}', /lock_ttl must lie between 10s and 1h/],
    ['apm {\n  driver = "x"\n}', /Write the name of the apm before its brace/],
    ['nomad {', /autoscaler.hcl/],
  ] as const) {
    const loaded = load(source);
    t.match(loaded.ok ? 'ok' : loaded.error, message, source);
  }
});
