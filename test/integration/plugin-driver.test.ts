import t from 'tap';
import { driverConformance } from '../conformance/driver.js';
import { makePluginPlace } from '../support/go-plugin-server.js';
import { pluginDriverUnderTest } from '../support/plugin-driver.js';

const place = makePluginPlace();
place.addServer('driver', 'driver', 'test');
t.teardown(() => place.remove());
driverConformance('a driver that is a program of its own', pluginDriverUnderTest(place.dir, 'test'));
