import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { namesIn } from '../../plugins/device-nvidia/cdi.js';
import { figuresOf } from '../../plugins/device-nvidia/figures.js';
import { groupsOf, instancesOf, type NvidiaInstance } from '../../plugins/device-nvidia/instances.js';
import { parseListing } from '../../plugins/device-nvidia/listing.js';
import { parseReport, type Report } from '../../plugins/device-nvidia/report.js';
import { find, parseXml } from '../../plugins/device-nvidia/xml.js';
import { ROOT } from '../support/mesh-agent.js';

const fixture = (name: string): string => readFileSync(join(ROOT, 'test/plugins/data/nvidia', name), 'utf8');

function report(name: string): Report {
  const parsed = parseReport(fixture(name));
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}
const instances = (name: string, list = ''): NvidiaInstance[] => instancesOf(report(name), parseListing(list));

t.test('a card of 2016 under an old driver', async (t) => {
  t.same(groupsOf(instances('v10-pascal.xml')), [
    {
      Vendor: 'nvidia',
      Type: 'gpu',
      Name: 'GeForce GTX 1070',
      Instances: [
        {
          ID: 'GPU-10a0c0de-0001-4001-8001-0000000000a1',
          Healthy: true,
          HealthDescription: '',
          Locality: { PciBusID: '0000:01:00.0' },
        },
      ],
      Attributes: {
        driver_version: { String: '418.56' },
        cuda_version: { String: '10.1' },
        compute_mode: { String: 'Default' },
        persistence_mode: { String: 'Disabled' },
        display_state: { String: 'Enabled' },
        memory: { Int: 8117, Unit: 'MiB' },
        power: { Int: 151, Unit: 'W' },
        bar1: { Int: 256, Unit: 'MiB' },
        cores_clock: { Int: 1911, Unit: 'MHz' },
        memory_clock: { Int: 4004, Unit: 'MHz' },
        pci_bandwidth: { Int: 15760, Unit: 'MB/s' },
      },
    },
  ]);
});

t.test('cards of one model are one group', async (t) => {
  const groups = groupsOf(instances('v11-tesla.xml'));
  t.same(
    groups.map(({ Name, Instances }) => [Name, Instances.map(({ Locality }) => Locality?.PciBusID)]),
    [['Tesla T4', ['0000:3b:00.0', '0000:af:00.0']]],
  );
});

t.test('a partitioned card stands for its parts', async (t) => {
  const groups = groupsOf(instances('v12-mig.xml', fixture('v12-mig-list.txt')));
  t.same(
    groups.map(({ Name, Instances }) => [Name, Instances.map(({ ID }) => ID)]),
    [
      [
        'NVIDIA A100-SXM4-80GB MIG 2g.20gb',
        ['MIG-00000000-0000-5001-8001-0000000000d0', 'MIG-00000000-0000-5001-8001-0000000000d1'],
      ],
      [
        'NVIDIA A100-SXM4-80GB MIG 1g.10gb',
        ['MIG-00000000-0000-5001-8001-0000000000d2', 'MIG-00000000-0000-5001-8001-0000000000d3'],
      ],
      ['NVIDIA A100-SXM4-80GB', ['GPU-a1000000-0012-4001-8001-0000000000c2']],
    ],
  );
  t.match(groups[1]?.Attributes, {
    mig: { Bool: true },
    mig_profile: { String: '1g.10gb' },
    memory: { Int: 9728, Unit: 'MiB' },
    multiprocessors: { Int: 14 },
    cuda_version: { String: '12.2' },
  });
  const unlisted = instances('v12-mig.xml');
  t.equal(unlisted[0]?.id, 'MIG-GPU-a1000000-0012-4001-8001-0000000000c1/3/0', 'as drivers before 470 name them');
  t.equal(unlisted[0]?.model, 'NVIDIA A100-SXM4-80GB MIG 19968 MiB');
});

t.test('what a newer driver calls deprecated is not taken for a value', async (t) => {
  const [group] = groupsOf(instances('v13-two.xml'));
  t.match(group?.Attributes, {
    display_state: { String: 'Enabled' },
    power: { Int: 350, Unit: 'W' },
    pci_bandwidth: { Int: 15752, Unit: 'MB/s' },
    architecture: { String: 'Ampere' },
  });
  t.equal(group?.Instances.length, 2);
});

t.test('a card that asks for a reset is not healthy, the other one is', async (t) => {
  const [group] = groupsOf(instances('v13-trouble.xml'));
  t.same(
    group?.Instances.map(({ Healthy, HealthDescription }) => [Healthy, HealthDescription]),
    [
      [false, 'the driver asks for: Drain and Reset'],
      [true, ''],
    ],
  );
});

t.test('figures have the names of Nomad’s plugin, and "N/A" where nothing is known', async (t) => {
  const all = (name: string, list = '') =>
    instances(name, list).map((one) => {
      const { summary, stats } = figuresOf(one, '2026-01-01T00:00:00Z');
      const values = Object.entries(stats).map(([key, { value, unit }]) => [key, { ...value, unit }]);
      return { summary: summary.value, ...Object.fromEntries(values) };
    });
  t.match(all('v11-tesla.xml')[1], {
    summary: { int: 1024, of: 15360 },
    'Power usage': { int: 68, of: 70, unit: 'W' },
    'GPU utilization': { int: 91, unit: '%' },
    'Decoder utilization': { int: 12, unit: '%' },
    Temperature: { int: 61, unit: 'C' },
    'BAR1 buffer state': { int: 4, of: 256, unit: 'MiB' },
    'ECC memory errors': { int: 3, unit: '#' },
  });
  t.match(all('v12-mig.xml')[2], {
    summary: { int: 14, of: 9728 },
    'GPU utilization': { text: 'N/A' },
    'ECC L1 errors': { text: 'N/A' },
    'ECC L2 errors': { int: 0 },
  });
  t.match(all('v13-two.xml')[0], { 'Power usage': { int: 142, of: 350 }, 'ECC memory errors': { text: 'N/A' } });
});

t.test('what is no report is told in words', async (t) => {
  for (const [source, message] of [
    [fixture('lost.txt'), /cannot read .* text outside of the document/],
    ['', /no element/],
    ['<nvidia_smi_log><gpu id="a">', /<gpu> does not end/],
    ['<nvidia_smi_log></gpu>', /unexpected end of "gpu"/],
    ['<html></html>', /wrote <html>/],
    ['<nvidia_smi_log><gpu id="0"><product_name>x</product_name></gpu></nvidia_smi_log>', /without a UUID \(0\)/],
    [`${'<a>'.repeat(50)}`, /more than 32 elements inside each other/],
    ['<a'.padEnd(9_000_000, ' '), /more than 8388608 characters/],
  ] as const) {
    const parsed = parseReport(source);
    t.match(parsed.ok ? '' : parsed.error, message);
  }
  t.same(parseReport('<nvidia_smi_log></nvidia_smi_log>'), {
    ok: true,
    value: { driverVersion: 'N/A', cudaVersion: null, gpus: [] },
  });
});

t.test('XML: entities, attributes, comments and what is passed over', async (t) => {
  const parsed = parseXml(
    `<?xml version='1.0'?><!DOCTYPE x SYSTEM "y.dtd"><!-- <no> --><x a="1&amp;2" b='3'><y/>&lt;&#65;&#x42;&gt; <z> t </z></x>\n`,
  );
  if (!parsed.ok) throw new Error(parsed.error);
  t.same({ ...parsed.value.attributes }, { a: '1&2', b: '3' });
  t.equal(parsed.value.text, '<AB>');
  t.equal(find(parsed.value, 'z')?.text, 't');
  t.equal(find(parsed.value, 'z/q'), undefined);
});

t.test('what nobody reads is passed over', async (t) => {
  const parsed = parseXml('<a><long><b>1</b><</long><c>2</c><long/></a>', ['long']);
  if (!parsed.ok) throw new Error(parsed.error);
  t.same(
    parsed.value.children.map(({ name, children }) => [name, children.length]),
    [
      ['long', 0],
      ['c', 0],
      ['long', 0],
    ],
  );
  t.match(parseXml('<a><long></a>', ['long']), { ok: false, error: /"<\/long>" is missing/ });
});

t.test('no input makes the readers throw or hang', async (t) => {
  const whole = fixture('v13-two.xml');
  fc.assert(
    fc.property(
      fc.nat(whole.length),
      fc.nat(40),
      fc.oneof(fc.string(), fc.constantFrom('<', '>', '&', '</gpu>', '<gpu>', '"', '\0', '<!--')),
      (at, cut, put) => {
        parseReport(whole.slice(0, at) + put + whole.slice(at + cut));
      },
    ),
    { numRuns: 300 },
  );
  fc.assert(
    fc.property(fc.string(), (text) => {
      parseReport(text);
      parseListing(text);
      namesIn(text);
    }),
  );
  t.pass();
});

t.test('names in CDI specifications, as nvidia-ctk writes them and as JSON', async (t) => {
  const yaml = [
    '---',
    'cdiVersion: 0.5.0',
    'containerEdits:',
    '  deviceNodes:',
    '  - path: /dev/nvidiactl',
    'devices:',
    '- containerEdits:',
    '    deviceNodes:',
    '    - path: /dev/nvidia0',
    '  name: "0"',
    '- name: GPU-1',
    '  containerEdits: {}',
    'kind: nvidia.com/gpu',
  ].join('\n');
  t.same(namesIn(yaml), ['0', 'GPU-1']);
  t.same(namesIn(yaml.replace('nvidia.com/gpu', 'amd.com/gpu')), []);
  t.same(namesIn('{"kind":"nvidia.com/gpu","devices":[{"name":"0"},{"name":"all"}]}'), ['0', 'all']);
  t.same(namesIn('{"kind":"x","devices":[{"name":"0"}]}'), []);
  t.same(namesIn('{broken'), []);
});
