import t from 'tap';
import { createHttpWorld } from './world.js';

const instance = (fields: object) => ({
  ID: 'id-1',
  ServiceName: 'web',
  Namespace: 'default',
  Datacenter: 'dc1',
  NodeID: 'node-1',
  Address: '10.0.0.5',
  Port: 8080,
  Tags: ['metrics', 'blue'],
  ...fields,
});

t.test(
  'services as Prometheus discovers them: every instance, with the labels of its discovery for Nomad',
  async (t) => {
    const world = await createHttpWorld(t);
    world.script['ServiceRegistration.List'] = {
      Services: [
        { Namespace: 'default', Services: [{ ServiceName: 'web', Tags: [] }] },
        { Namespace: 'ops', Services: [{ ServiceName: 'dns', Tags: [] }] },
      ],
    };
    world.script['ServiceRegistration.GetService'] = ({ ServiceName, Namespace }) => ({
      Services: [
        instance({ ServiceName, Namespace, ...(ServiceName === 'dns' ? { Address: 'fd00::5', Tags: [] } : {}) }),
      ],
    });
    const got = await world.send('/v1/services?format=prometheus&namespace=*');
    t.match(got.headers['content-type'], /^application\/json(; charset=utf-8)?$/i, 'it takes nothing else');
    t.same(got.json, [
      {
        targets: ['10.0.0.5:8080'],
        labels: {
          __meta_nomad_address: '10.0.0.5',
          __meta_nomad_dc: 'dc1',
          __meta_nomad_namespace: 'default',
          __meta_nomad_node_id: 'node-1',
          __meta_nomad_service: 'web',
          __meta_nomad_service_address: '10.0.0.5',
          __meta_nomad_service_id: 'id-1',
          __meta_nomad_service_port: '8080',
          __meta_nomad_tags: ',metrics,blue,',
        },
      },
      {
        targets: ['[fd00::5]:8080'],
        labels: {
          __meta_nomad_address: 'fd00::5',
          __meta_nomad_dc: 'dc1',
          __meta_nomad_namespace: 'ops',
          __meta_nomad_node_id: 'node-1',
          __meta_nomad_service: 'dns',
          __meta_nomad_service_address: 'fd00::5',
          __meta_nomad_service_id: 'id-1',
          __meta_nomad_service_port: '8080',
        },
      },
    ]);
    t.match(await world.send('/v1/services?format=consul'), { status: 400, text: /unknown format "consul"/ });
  },
);
