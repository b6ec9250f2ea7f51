import t from 'tap';
import { INIT_VOLUMES, INIT_VOLUMES_JSON, parseBytes, parseVolume } from '../../lib/jobspec/volume-file.js';

t.test('a CSI volume in HCL, with all there can be', async (t) => {
  const source = `
id        = "mysql"
name      = "mysql"
type      = "csi"
external_id = "vol-0b756b75620d63af5"
plugin_id = "aws-ebs0"
capacity_min = "10GiB"
capacity_max = 21474836480
capability {
  access_mode     = "single-node-writer"
  attachment_mode = "file-system"
}
mount_options {
  mount_flags = ["noatime"]
}
topology_request {
  required {
    topology {
      segments { rack = "R1" }
    }
    topology {
      segments = { "topology.example.com/zone" = "z1" }
    }
  }
}
secrets { password = "hunter2" }
parameters = { "csi.example.com/kind" = "ssd" }
context { endpoint = "http://x" }
`;
  t.match(parseVolume(source, 'v.hcl'), {
    ok: true,
    value: {
      type: 'csi',
      volume: {
        ID: 'mysql',
        ExternalID: 'vol-0b756b75620d63af5',
        RequestedCapacityMin: 10 * 2 ** 30,
        RequestedCapacityMax: 20 * 2 ** 30,
        RequestedCapabilities: [{ AccessMode: 'single-node-writer', AttachmentMode: 'file-system' }],
        MountOptions: { FSType: '', MountFlags: ['noatime'] },
        RequestedTopologies: {
          Required: [{ Segments: { rack: 'R1' } }, { Segments: { 'topology.example.com/zone': 'z1' } }],
          Preferred: null,
        },
        Secrets: { password: 'hunter2' },
        Parameters: { 'csi.example.com/kind': 'ssd' },
        Context: { endpoint: 'http://x' },
      },
    },
  });
});

t.test('names with dots and slashes are quoted in blocks, as Nomad reads them', async (t) => {
  const source = `
type = "csi"
id = "v"
name = "v"
plugin_id = "p"
topology_request {
  required {
    topology { segments { "topology.ebs.csi.aws.com/zone" = "a", "rack" = "R1" } }
  }
}
parameters {
  "csi.storage.k8s.io/fstype" = "xfs"
}
secrets {
  "user.key" = "hunter2"
}
`;
  t.match(parseVolume(source, 'v.hcl'), {
    ok: true,
    value: {
      volume: {
        RequestedTopologies: { Required: [{ Segments: { 'topology.ebs.csi.aws.com/zone': 'a', rack: 'R1' } }] },
        Parameters: { 'csi.storage.k8s.io/fstype': 'xfs' },
        Secrets: { 'user.key': 'hunter2' },
      },
    },
  });
});

t.test('JSON with the keys of the file, or those of the API', async (t) => {
  const file = {
    type: 'csi',
    id: 'db',
    plugin_id: 'nfs',
    capacity_min: '1GiB',
    capability: { access_mode: 'single-node-writer', attachment_mode: 'file-system' },
    topology_request: { preferred: { topology: [{ segments: { rack: 'R1' } }] } },
  };
  const volume = {
    ID: 'db',
    PluginID: 'nfs',
    RequestedCapacityMin: 2 ** 30,
    RequestedCapabilities: [{ AccessMode: 'single-node-writer', AttachmentMode: 'file-system' }],
  };
  t.match(parseVolume(JSON.stringify(file), 'v.json'), {
    ok: true,
    value: { type: 'csi', volume: { ...volume, RequestedTopologies: { Preferred: [{ Segments: { rack: 'R1' } }] } } },
  });
  t.match(parseVolume(JSON.stringify({ Type: 'csi', ...volume }), 'v.json'), { ok: true, value: { volume } });
});

t.test('a volume of either kind says how it is to be backed up', async (t) => {
  const Backup = { Cron: '30 3 * * *', Replicas: 1, KeepLast: 3, KeepDaily: 7 };
  const block = 'backup {\n  cron = "30 3 * * *"\n  replicas = 1\n  keep = 3\n  keep_daily = 7\n}\n';
  t.match(parseVolume(`type = "host"\nname = "db"\n${block}`, 'v.hcl'), { ok: true, value: { volume: { Backup } } });
  const json = { type: 'host', name: 'db', backup: { cron: '30 3 * * *', replicas: 1, keep: 3, keep_daily: 7 } };
  t.match(parseVolume(JSON.stringify(json), 'v.json'), { ok: true, value: { volume: { Backup } } });
  t.match(parseVolume(JSON.stringify({ Type: 'host', Name: 'db', Backup }), 'v.json'), {
    ok: true,
    value: { volume: { Backup } },
  });
  t.match(parseVolume(`type = "csi"\nid = "db"\n${block}`, 'v.hcl'), { ok: true, value: { volume: { Backup } } });
  const csi = JSON.stringify({ Type: 'csi', ID: 'db', Backup });
  t.match(parseVolume(csi, 'v.json'), { ok: true, value: { volume: { Backup } } });
  t.match(parseVolume('type = "host"\nbackup {\n  cronn = "x"\n}\n', 'v.hcl'), { ok: false, error: /cronn/ });
});

t.test('a host volume', async (t) => {
  const source = `type = "host"
name = "data"
node_pool = "db"
constraint {
  attribute = "\${attr.kernel.name}"
  value     = "linux"
}
capability { access_mode = "single-node-multi-writer" }
`;
  t.match(parseVolume(source, 'v.hcl'), {
    ok: true,
    value: {
      type: 'host',
      volume: {
        Name: 'data',
        NodePool: 'db',
        Constraints: [{ LTarget: '${attr.kernel.name}', RTarget: 'linux', Operand: '=' }],
        RequestedCapabilities: [{ AccessMode: 'single-node-multi-writer' }],
      },
    },
  });
});

t.test('every mistake is told with its place', async (t) => {
  const cases: [string, RegExp][] = [
    ['id = "x"\n', /v\.hcl:1.*Missing type of volume/],
    ['id = "x"\ntype = "nfs"\n', /v\.hcl:2.*must be|v\.hcl:2.*of type "csi" or "host"/],
    ['type = "csi"\nplugn_id = "x"\n', /v\.hcl:2.*"plugn_id" is not expected here.*Did you mean "plugin_id"/],
    ['type = "csi"\ncapacity_min = "lots"\n', /v\.hcl:2.*"lots" is no size/],
    ['type = "csi"\ncapability {\n  access_mode = "x"\n}\n', /v\.hcl:2,12.*"attachment_mode" is required/],
    ['type = "csi"\ncapabilty {}\n', /v\.hcl:2.*Did you mean "capability"/],
    ['type = "host"\nexternal_id = "x"\n', /v\.hcl:2.*external_id/],
    ['type = "csi\n', /v\.hcl:1/],
    ['{"type": "csi", }', /v\.hcl:1.*Invalid JSON/],
    ['{"id": "x"}', /Unknown type of volume/],
    ['{"type": "csi", "id": ["x"]}', /ID: must be a string, not a list/],
  ];
  for (const [source, message] of cases) {
    const parsed = parseVolume(source, 'v.hcl');
    t.ok(!parsed.ok && message.test(parsed.error), `${JSON.stringify(source)}: ${parsed.ok ? 'taken' : parsed.error}`);
  }
});

t.test('the examples that volume init writes are volumes', async (t) => {
  t.match(parseVolume(INIT_VOLUMES.csi, 'x'), {
    ok: true,
    value: { type: 'csi', volume: { RequestedCapacityMin: 10 * 2 ** 30 } },
  });
  t.match(parseVolume(INIT_VOLUMES.host, 'x'), { ok: true, value: { type: 'host', volume: { PluginID: 'mkdir' } } });
  for (const type of ['csi', 'host'] as const)
    t.same(parseVolume(INIT_VOLUMES_JSON[type], 'x'), parseVolume(INIT_VOLUMES[type], 'x'), `${type} in JSON`);
});

t.test('sizes', async (t) => {
  const sizes: [string, number][] = [
    ['0', 0],
    ['1024', 1024],
    ['10GiB', 10 * 2 ** 30],
    ['10 GB', 10e9],
    ['1.5MiB', 1.5 * 2 ** 20],
    ['5b', 5],
    ['2TiB', 2 * 2 ** 40],
  ];
  for (const [text, bytes] of sizes) t.strictSame(parseBytes(text), { ok: true, value: bytes }, text);
  for (const text of ['', '-1', '10 potatoes', '1e9', '99999999 TiB']) t.equal(parseBytes(text).ok, false, text);
});
