//! The machine that boot times are compared with: a minimal Debian with systemd on
//! the same kernel, the same boot loader and the same virtual hardware.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use bastide_recipe::{Input, SdkName, Source, Step, StepOutput};

/// The kernel is told the same as ours, but where its root is. Its own checks of what
/// it executes are switched off, since its files lie on no verified volume.
const COMMAND_LINE: &str = "console=tty0 console=ttyS0,115200 root=/dev/vda2 rootfstype=ext4 rw \
                            loglevel=4 no_timer_check lockdown=confidentiality ipe.enforce=0";

fn step(name: &str, sdk: &str, script: &str, inputs: Vec<Input>, seconds: u64) -> Step {
    Step {
        name: name.to_owned(),
        sdk: SdkName::new(sdk),
        script: script.to_owned(),
        inputs,
        environment: BTreeMap::from([("COMMAND_LINE".to_owned(), COMMAND_LINE.to_owned())]),
        expected: Duration::from_secs(seconds),
    }
}

/// Makes `root.img` from the SDK `peer`.
#[must_use]
pub fn root() -> Step {
    let script = include_str!("../steps/peer-root.sh");
    step("peer-root", "peer", script, Vec::new(), 20)
}

/// Makes `bundle.efi` with the kernel of `ours`, and `boot-loader.efi`: to be signed.
#[must_use]
pub fn bundle(ours: &Path) -> Step {
    let script = include_str!("../steps/peer-bundle.sh");
    let inputs = vec![Input::new("uki", Source::Path(ours.to_owned()))];
    step("peer-bundle", "image", script, inputs, 5)
}

/// Makes `disk.img` from the root and the signed `bundle` and `boot_loader`.
#[must_use]
pub fn disk(root: &StepOutput, bundle: &StepOutput, boot_loader: &StepOutput) -> Step {
    let script = include_str!("../steps/peer-disk.sh");
    let inputs = [
        ("root", root),
        ("bundle", bundle),
        ("boot-loader", boot_loader),
    ]
    .map(|(name, output)| Input::new(name, Source::Output(output.clone())))
    .into();
    step("peer-disk", "image", script, inputs, 15)
}
