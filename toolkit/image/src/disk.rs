//! The disk, the firmware's variable store, and the judgement of the whole.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use bastide_config::product::Product;
use bastide_recipe::{Engine, Input, SdkName, Source, Step, StepOutput};
use bastide_sign::{Role, Signer};

use crate::Error;
use crate::core::{CoreImage, Signed};
use crate::text;

/// Both ends of a GPT disk, aligned.
const TABLES_MIB: u32 = 2;

/// Composes `disk.img` and `partitions.json`.
pub(crate) fn compose(
    engine: &Engine,
    tree: &Path,
    product: &Product,
    core: &CoreImage<Signed>,
    boot_loader: &StepOutput,
    kernel_bundle: &StepOutput,
) -> Result<StepOutput, Error> {
    let sizes = product.partitions;
    let disk = sizes.esp_mib + 2 * sizes.core_mib + sizes.state_mib + sizes.swap_mib + TABLES_MIB;
    let number = |name: &str, value: u32| (name.to_owned(), value.to_string());
    Ok(engine.run(&Step {
        name: "disk".to_owned(),
        sdk: SdkName::new("image"),
        script: include_str!("../steps/disk.sh").to_owned(),
        inputs: vec![
            Input::new("core", Source::Output(core.output.clone())),
            Input::new("boot-loader", Source::Output(boot_loader.clone())),
            Input::new("uki", Source::Output(kernel_bundle.clone())),
            Input::new(
                "loader.conf",
                Source::Path(tree.join("products/base/loader.conf")),
            ),
        ],
        environment: BTreeMap::from([
            number("DISK_MIB", disk),
            number("ESP_MIB", sizes.esp_mib),
            number("SLOT_MIB", sizes.core_mib),
            number("STATE_MIB", sizes.state_mib),
            number("SWAP_MIB", sizes.swap_mib),
            ("PRODUCT".to_owned(), product.name.clone()),
            ("UKI_NAME".to_owned(), text::kernel_bundle_name(product)),
        ]),
        expected: Duration::from_secs(5),
    })?)
}

/// Makes `OVMF_VARS.fd` with the owner's keys, and hands out `OVMF_CODE.fd`.
pub(crate) fn variable_store(engine: &Engine, signer: &dyn Signer) -> Result<StepOutput, Error> {
    let owner = signer.owner().to_string().into_bytes();
    let mut inputs = vec![Input::new("owner.guid", Source::Inline(owner))];
    for role in [Role::Pk, Role::Kek, Role::Db] {
        inputs.push(certificate(signer, role));
    }
    Ok(engine.run(&Step {
        name: "variable-store".to_owned(),
        sdk: SdkName::new("image"),
        script: include_str!("../steps/variable-store.sh").to_owned(),
        inputs,
        environment: BTreeMap::new(),
        expected: Duration::from_secs(2),
    })?)
}

/// Follows the chain of trust on the finished disk with standard tools.
pub(crate) fn check(
    engine: &Engine,
    signer: &dyn Signer,
    product: &Product,
    disk: &StepOutput,
) -> Result<StepOutput, Error> {
    let mut environment = text::version_policy(product)?;
    environment.insert("UKI_NAME".to_owned(), text::kernel_bundle_name(product));
    Ok(engine.run(&Step {
        name: "disk-check".to_owned(),
        sdk: SdkName::new("image"),
        script: include_str!("../steps/check.sh").to_owned(),
        inputs: vec![
            Input::new("disk", Source::Output(disk.clone())),
            certificate(signer, Role::Db),
            certificate(signer, Role::Image),
            certificate(signer, Role::Pcr),
        ],
        environment,
        expected: Duration::from_secs(5),
    })?)
}

fn certificate(signer: &dyn Signer, role: Role) -> Input {
    let pem = signer.certificate(role).pem().into_bytes();
    Input::new(format!("{role}.crt"), Source::Inline(pem))
}
