# A small stand-in for nixpkgs' lib: the functions that nix/ uses, with the same results for what nix/ does with them. The
# module is evaluated with it where there is no nixpkgs; machine.nix takes the real lib just as well.
let
  inherit (builtins)
    all
    attrNames
    concatLists
    concatMap
    concatStringsSep
    elem
    filter
    foldl'
    functionArgs
    head
    isAttrs
    isBool
    isFunction
    isList
    isPath
    isString
    listToAttrs
    mapAttrs
    substring
    ;

  unique = list: foldl' (seen: item: if elem item seen then seen else seen ++ [ item ]) [ ] list;
  optional = condition: item: if condition then [ item ] else [ ];
  optionals = condition: items: if condition then items else [ ];
  optionalAttrs = condition: attrs: if condition then attrs else { };
  genAttrs = names: make: listToAttrs (map (name: { inherit name; value = make name; }) names);
  is = kind: value: isAttrs value && (value._type or "") == kind;

  # What a module says of one value: the conditions and priorities around it, without looking at the conditions.
  under = name: value:
    if is "if" value then map (inner: value // { content = inner; }) (under name value.content)
    else if is "merge" value then concatMap (under name) value.contents
    else if is "override" value then map (inner: value // { content = inner; }) (under name value.content)
    else optional (value ? ${name}) value.${name};
  namesIn = value:
    if is "if" value || is "override" value then namesIn value.content
    else if is "merge" value then concatMap namesIn value.contents
    else attrNames value;

  # The values that count, once the conditions are known: those of the highest priority.
  discharge = defs:
    let
      flat = priority: value:
        if is "if" value then optionals value.condition (flat priority value.content)
        else if is "merge" value then concatMap (flat priority) value.contents
        else if is "override" value then flat value.priority value.content
        else [ { inherit priority value; } ];
      found = concatMap (flat 100) defs;
      best = foldl' (a: b: if b.priority < a then b.priority else a) 10000 found;
    in
    map (def: def.value) (filter (def: def.priority == best) found);

  mergeDeep = path: defs:
    let
      values = discharge defs;
      first = head values;
    in
    if values == [ ] then throw "The option `${path}' has no value."
    else if isAttrs first && (first.type or "") != "derivation" then
      genAttrs (unique (concatMap namesIn values)) (name: mergeDeep "${path}.${name}" (concatMap (under name) values))
    else if isList first then concatLists values
    else if all (value: value == first) values then first
    else throw "The option `${path}' has conflicting definition values.";

  mergeOne = path: values:
    if all (value: value == head values) values then head values
    else throw "The option `${path}' has conflicting definition values.";
  plain = name: check: {
    inherit name check;
    merge = path: defs: mergeOne path (discharge defs);
  };
  checked = type: path: defs:
    let
      wrong = filter (value: !(type.check value)) (discharge defs);
    in
    if wrong == [ ] then type.merge path defs
    else throw "A definition for option `${path}' is not of type `${type.name}'.";

  types = {
    bool = plain "boolean" isBool;
    str = plain "string" isString;
    package = plain "package" (value: isString value || isPath value || (isAttrs value && value ? outPath));
    anything = { name = "anything"; check = _: true; merge = mergeDeep; };
    pathWith = { absolute, inStore }:
      plain "absolute path not in the Nix store" (value:
        # A path literal would be copied into the store where it is used.
        (isString value || (isPath value && inStore))
        && (!absolute || substring 0 1 (toString value) == "/")
        && (inStore || substring 0 11 (toString value) != "/nix/store/")
      );
    nullOr = type: {
      name = "null or ${type.name}";
      check = value: value == null || type.check value;
      merge = path: defs: if elem null (discharge defs) then null else checked type path defs;
    };
    listOf = type: {
      name = "list of ${type.name}";
      check = value: isList value && all type.check value;
      merge = path: defs: concatLists (discharge defs);
    };
    attrsOf = type: {
      name = "attribute set of ${type.name}";
      check = isAttrs;
      merge = path: defs:
        let
          values = discharge defs;
        in
        genAttrs (unique (concatMap namesIn values)) (name: checked type "${path}.${name}" (concatMap (under name) values));
    };
    submodule = module: {
      name = "submodule";
      check = isAttrs;
      merge = path: defs: configOf path module.options (map (config: { inherit config; }) (discharge defs));
    };
  };

  configOf = path: options: modules:
    let
      at = name: if path == "" then name else "${path}.${name}";
      said = unique (concatMap (module: namesIn module.config) modules);
      unknown = filter (name: !(options ? ${name})) said;
    in
    if unknown != [ ] then throw "The option `${at (head unknown)}' does not exist."
    else
      mapAttrs (name: option:
        let
          defs = concatMap (module: under name module.config) modules;
        in
        if !(is "option" option) then configOf (at name) option (map (config: { inherit config; }) defs)
        else if discharge defs == [ ] then option.default or (throw "The option `${at name}' is used but not defined.")
        else checked option.type (at name) defs
      ) options;

  # Trees of options of several modules in one.
  joinOptions = a: b:
    a // mapAttrs (name: value: if a ? ${name} && !(is "option" value) then joinOptions a.${name} value else value) b;
in
rec {
  inherit optional optionals optionalAttrs genAttrs types concatStringsSep;
  mapAttrsToList = each: attrs: map (name: each name attrs.${name}) (attrNames attrs);
  importJSON = path: builtins.fromJSON (builtins.readFile path);
  literalExpression = text: { _type = "literalExpression"; inherit text; };
  mkOption = option: option // { _type = "option"; };
  mkEnableOption = name: mkOption { type = types.bool; default = false; description = name; };
  mkIf = condition: content: { _type = "if"; inherit condition content; };
  mkMerge = contents: { _type = "merge"; inherit contents; };
  mkOverride = priority: content: { _type = "override"; inherit priority content; };
  mkDefault = mkOverride 1000;
  mkForce = mkOverride 50;
  cleanSourceWith = { src, filter }: src;
  licenses.mpl20 = "MPL-2.0";
  platforms.linux = [ "x86_64-linux" "aarch64-linux" ];

  evalModules = { modules, specialArgs }:
    let
      given = specialArgs // { inherit config; lib = import ./lib.nix; };
      call = module:
        if isPath module || isString module then call (import module)
        else if isFunction module then
          module (if functionArgs module == { } then given else builtins.intersectAttrs (functionArgs module) given)
        else module;
      called = map call modules;
      normal = map (module:
        if module ? options || module ? config then { options = module.options or { }; config = module.config or { }; }
        else { options = { }; config = module; }
      ) called;
      options = foldl' joinOptions { } (map (module: module.options) normal);
      config = configOf "" options normal;
    in
    { inherit config options; };
}
