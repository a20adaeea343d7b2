//! The UKI: kernel, initramfs and command line in one binary, and the boot loader
//! that starts it; both signed for Secure Boot.

use std::collections::BTreeMap;
use std::time::Duration;

use bastide_config::product::Product;
use bastide_recipe::{Engine, Input, SdkName, Source, Step, StepOutput};
use bastide_sign::{Role, Signer, steps};

use crate::Error;
use crate::core::{CoreImage, Signed};
use crate::text;

/// What a UKI is made of.
pub(crate) struct Parts<'a> {
    pub product: &'a Product,
    /// Output of the kernel's compile: `bzImage`.
    pub kernel: &'a StepOutput,
    /// What `uname -r` will say.
    pub release: &'a str,
    pub core: &'a CoreImage<Signed>,
    pub command_line: &'a str,
    /// Output of the step that built the initramfs's program, and its name there.
    pub program: &'a StepOutput,
    pub program_name: &'a str,
    /// Output of the step that built `bastide-rootfs`, which judges that program.
    pub tool: &'a StepOutput,
}

/// A UKI that firmware will start.
pub(crate) struct SignedBundle {
    /// `initramfs.cpio.zst`.
    pub initramfs: StepOutput,
    /// `signed.efi`.
    pub output: StepOutput,
}

/// Makes the initramfs, the UKI around it with its PCR signatures, and signs it.
pub(crate) fn build(
    engine: &Engine,
    signer: &dyn Signer,
    parts: &Parts<'_>,
) -> Result<SignedBundle, Error> {
    let command_line = || Source::Inline(parts.command_line.as_bytes().to_vec());
    let template = engine.run(&Step {
        name: "state-template".to_owned(),
        sdk: SdkName::new("image"),
        script: include_str!("../steps/state-template.sh").to_owned(),
        inputs: Vec::new(),
        environment: BTreeMap::new(),
        expected: Duration::from_secs(2),
    })?;
    let initramfs = engine.run(&Step {
        name: "initramfs".to_owned(),
        sdk: SdkName::new("image"),
        script: include_str!("../steps/initramfs.sh").to_owned(),
        inputs: vec![
            Input::new("program", Source::Output(parts.program.clone())),
            Input::new("tool", Source::Output(parts.tool.clone())),
            Input::new("cmdline", command_line()),
            Input::new(
                "signature",
                Source::Output(parts.core.state.signature.clone()),
            ),
            Input::new("template", Source::Output(template)),
            Input::new(
                "pcr.crt",
                Source::Inline(signer.certificate(Role::Pcr).pem().into_bytes()),
            ),
        ],
        environment: BTreeMap::from([("PROGRAM".to_owned(), parts.program_name.to_owned())]),
        expected: Duration::from_secs(2),
    })?;

    let mut step = Step {
        name: "uki".to_owned(),
        sdk: SdkName::new("image"),
        script: include_str!("../steps/uki.sh").to_owned(),
        inputs: vec![
            Input::new("kernel", Source::Output(parts.kernel.clone())),
            Input::new("initramfs", Source::Output(initramfs.clone())),
            Input::new("cmdline", command_line()),
            Input::new(
                "os-release",
                Source::Inline(text::os_release(parts.product).into_bytes()),
            ),
            Input::new(
                "sbat.csv",
                Source::Inline(text::sbat(parts.product).into_bytes()),
            ),
        ],
        environment: BTreeMap::from([
            ("KERNEL_FILE".to_owned(), "bzImage".to_owned()),
            ("KERNEL_RELEASE".to_owned(), parts.release.to_owned()),
        ]),
        expected: Duration::from_secs(3),
    };
    step.environment
        .extend(text::version_policy(parts.product)?);
    steps::grant(&mut step, signer, Role::Pcr);
    let unsigned = engine.run(&step)?;
    let output = engine.run(&steps::boot_binary(
        signer,
        "uki-signed",
        &unsigned,
        "unsigned.efi",
    ))?;
    Ok(SignedBundle { initramfs, output })
}

/// Has systemd-boot signed.
pub(crate) fn boot_loader(engine: &Engine, signer: &dyn Signer) -> Result<StepOutput, Error> {
    let unsigned = engine.run(&Step {
        name: "boot-loader".to_owned(),
        sdk: SdkName::new("image"),
        script: include_str!("../steps/boot-loader.sh").to_owned(),
        inputs: Vec::new(),
        environment: BTreeMap::new(),
        expected: Duration::from_secs(1),
    })?;
    let step = steps::boot_binary(signer, "boot-loader-signed", &unsigned, "systemd-boot.efi");
    Ok(engine.run(&step)?)
}
