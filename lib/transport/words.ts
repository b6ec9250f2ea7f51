import { scryptSync } from 'node:crypto';
import type { NodeKey } from '../structs/mesh.js';

// Four words that a person compares on two screens before approving of a machine. They derive from the mesh, the new key and
// the invite, slowly: whoever wanted another key with the same words would have to try four thousand million.

const WORDS = `
  acid acorn alarm amber anchor apple arrow atlas attic autumn badge bagel baker banjo barn basil beach beard
  bench berry birch bison blade blanket bloom bonfire bottle bread brick bridge brook broom bucket button cabin
  cable cactus camel camp candle canoe carpet carrot castle cave cedar chalk cherry chess chimney cider circus
  clay cliff clock cloud clover coast cobra coffee comet copper coral cotton cradle crane crayon cricket crown
  daisy dance delta denim desk diamond diary dingo donkey door dragon drum duck dune eagle echo eclipse elbow
  ember engine fabric falcon farm feather fence fern ferry fiddle field flame flask flute forest fossil fountain
  fox frost fudge galaxy garden garlic gate ghost giant ginger glacier globe glove grape gravel guitar hammer
  harbor hazel helmet hill honey horse hotel iceberg igloo iris island ivory jacket jaguar jelly jewel jungle
  kayak kettle kitten koala ladder lagoon lake lamp lantern lemon lion lizard lobster locket lotus magnet mango
  maple marble meadow melon mint mirror monkey moss motor muffin mural museum napkin nest noodle nutmeg oak
  oasis ocean olive onion opal orbit orchid otter oven oyster paddle palace panda paper parrot peach pearl
  pebble pencil pepper piano pigeon pillow pine pirate planet plum pocket polar poppy potato prism pumpkin
  puzzle quartz quilt rabbit radar raven ribbon river robin rocket rope ruby saddle salmon sand scarf shovel
  silver spider statue storm sugar sunset swan table tiger toast tomato tower tractor trumpet tulip turtle
  umbrella valley vanilla velvet violin volcano wagon walnut walrus water whale willow window winter wolf yogurt
  zebra zipper
`
  .trim()
  .split(/\s+/);

const SCRYPT = { N: 1 << 13, r: 8, p: 1 };

/** The four words of a machine that wants to join: the same on both sides, if both mean the same machine. */
export function fourWords(about: { mesh: NodeKey; key: NodeKey; invite: NodeKey }): string {
  const text = `meshnomad/words/1 ${about.mesh} ${about.key} ${about.invite}`;
  return [...scryptSync(text, 'meshnomad', 4, SCRYPT)].map((byte) => WORDS[byte]).join(' ');
}
