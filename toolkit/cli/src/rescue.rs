//! The machines that ours is compared with and judged by: made in steps, their boot chain
//! signed with the same keys, so that the same firmware starts them.

use std::path::{Path, PathBuf};

use bastide_recipe::{Engine, Step, StepOutput};
use bastide_sign::{KeyDirectory, steps};
use bastide_vm::{peer, rescue};

use crate::context::Context;

/// How the three parts of such a machine are made.
struct Making {
    name: &'static str,
    root: fn() -> Step,
    bundle: fn(&Path) -> Step,
    disk: fn(&StepOutput, &StepOutput, &StepOutput) -> Step,
}

/// The disk of the minimal Debian that boot times are compared with; `built` is the
/// product whose kernel it gets.
///
/// # Errors
/// When a step fails.
pub fn peer_disk(engine: &Engine, context: &Context, built: &Path) -> anyhow::Result<PathBuf> {
    let making = Making {
        name: "peer",
        root: peer::root,
        bundle: peer::bundle,
        disk: peer::disk,
    };
    making.make(engine, context, built)
}

/// The disk of the rescue machine.
///
/// # Errors
/// When a step fails.
pub fn rescue_disk(engine: &Engine, context: &Context, built: &Path) -> anyhow::Result<PathBuf> {
    let making = Making {
        name: "rescue",
        root: rescue::root,
        bundle: rescue::bundle,
        disk: rescue::disk,
    };
    making.make(engine, context, built)
}

impl Making {
    fn make(&self, engine: &Engine, context: &Context, built: &Path) -> anyhow::Result<PathBuf> {
        let keys = KeyDirectory::open(&context.keys)?;
        let root = engine.run(&(self.root)())?;
        let unsigned = engine.run(&(self.bundle)(&built.join("bastide.efi")))?;
        let sign = |what: &str, file: &str| {
            let name = format!("{}-{what}-signed", self.name);
            engine.run(&steps::boot_binary(&keys, &name, &unsigned, file))
        };
        let bundle = sign("bundle", "bundle.efi")?;
        let boot_loader = sign("boot-loader", "boot-loader.efi")?;
        let disk = engine.run(&(self.disk)(&root, &bundle, &boot_loader))?;
        Ok(disk.directory.join("disk.img"))
    }
}
