//! What an attacker with tools and keys of his own brings to the test bench.

use std::path::Path;
use std::time::Duration;

use bastide_boot::{CORE_INIT, Geometry};
use bastide_recipe::{Input, SdkName, Source, Step};

/// The step that makes the materials from what was built: `bundle` is the kernel
/// bundle, `core` the Core image.
pub fn materials(bundle: &Path, core: &Path, geometry: &Geometry) -> Step {
    let offset = geometry.data_blocks * u64::from(bastide_boot::BLOCK_SIZE);
    Step {
        name: "hostile-materials".to_owned(),
        sdk: SdkName::new("image"),
        script: include_str!("../steps/hostile.sh").to_owned(),
        inputs: vec![
            Input::new("uki", Source::Path(bundle.to_owned())),
            Input::new("core", Source::Path(core.to_owned())),
        ],
        environment: [
            ("HASH_OFFSET", offset.to_string()),
            ("FEC_OFFSET", geometry.fec_offset().to_string()),
            ("INIT", CORE_INIT.to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into(),
        expected: Duration::from_secs(10),
    }
}
