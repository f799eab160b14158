"""Documentation of the action plugin infn.kaap.pack, which runs on the controller."""

DOCUMENTATION = r"""
module: pack
short_description: Brings the artefacts of the release into the cache and makes a bundle of them
description:
  - Makes what the content-addressed cache lacks (commands, images, charts, manifests, the root file system of embedded
    nodes) from the sources that the records in C(release/) give, and links it into a bundle that nodes read as it stands.
  - Everything is looked for before anything is built. What cannot be had is named, all of it, with where it was looked for.
  - Registries, proxy and certificates are those of this host's pip, Go and apt configuration.
options:
  profile:
    description: C(core) is what package registries alone can give, C(full) is the whole of KaaP.
    type: str
    choices: [core, full]
    default: core
  components:
    description: Only these components of the profile; its tools stay. A record of another profile is added by naming it.
    type: list
    elements: str
    default: []
  overrides:
    description: By component name; C(enabled) adds a component or takes it out, C(provided) takes it out.
    type: dict
    default: {}
  sources:
    description: Where artefacts are looked for, in this order.
    type: list
    elements: str
    default: [packages, git]
  only:
    description:
      - Kinds of content, of C(binaries), C(images), C(charts), C(manifests) and C(rootfs); all when empty. The commands
        that render come with charts and manifests. C(tools) is everything of the tools, whatever else is wanted.
    type: list
    elements: str
    choices: [binaries, images, charts, manifests, rootfs, tools]
    default: []
  images:
    description: With V(upstream), nodes pull images that the release does not assemble themselves; they are not packed.
    type: str
    choices: [bundle, upstream]
    default: bundle
  cache_dir:
    description: The cache, shared by all clones and inventories of a user.
    type: path
    required: true
  state_dir:
    description: Directory of the deployment, which gets a copy of the bundle's manifest as C(bundle.json).
    type: path
  clean:
    description:
      - Remove Go's module and build cache afterwards. They take up to 20 GB and only speed up building other versions;
        bundles do not need them.
    type: bool
    default: false
  rehearsal:
    description: Whether the tools that only a rehearsal needs are packed, too.
    type: bool
    default: false
  keep:
    description:
      - How many bundles stay in the cache that no deployment uses. What only older ones needed is removed after a pack that
        changed something, and once a day; what was touched within a day stays, and nothing is removed while somebody packs.
    type: int
    default: 3
attributes:
  check_mode:
    support: full
    description: Says what would be made; downloads and builds nothing.
  diff_mode:
    support: full
    description: Lists what is made.
author: KaaP maintainers
"""
EXAMPLES = r"""
- name: Pack the artefacts
  infn.kaap.pack:
    profile: core
    cache_dir: ~/.cache/kaap
    state_dir: .kaap/embedded
"""
RETURN = r"""
bundle_dir:
  description: Path of the bundle's tree; empty in check mode when something is missing.
  returned: success
  type: str
digest:
  description: SHA-256 of the bundle; names its directory.
  returned: success
  type: str
made:
  description: Titles of what was made, or would be in check mode.
  returned: success
  type: list
  elements: str
timings:
  description: Title to seconds, of what was made now.
  returned: success
  type: dict
artefacts:
  description: How many artefacts the bundle holds.
  returned: success
  type: int
freed_bytes:
  description: What C(clean) removed.
  returned: success
  type: int
collected:
  description:
    - How many bundles, steps, files, environments and toolchains were removed from the cache, the bytes that freed, and
      the bytes of the artefacts that stay. Empty when nothing was looked for.
  returned: success
  type: dict
seconds:
  description: Wall time.
  returned: success
  type: float
"""
