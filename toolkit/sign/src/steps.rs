//! Signing, as steps of a build.
//!
//! Each function gives the step that makes one signature. What it signs comes in
//! as the output of an earlier step; how the key is reached comes from a
//! [`Signer`]. A script is told by `<NAME>_KEY_SOURCE` what `<NAME>_KEY` is, and
//! refuses kinds it does not know.

use std::collections::BTreeMap;
use std::time::Duration;

use bastide_recipe::{Input, SdkName, Source, Step, StepOutput};
use uuid::Uuid;

use crate::{Certificate, Role};

/// How a step reaches a private key: what it must be given, and the variables
/// that tell its script.
#[derive(Clone, Debug)]
pub struct KeyAccess {
    /// For a file: the secret. For a token: nothing, or its socket.
    pub inputs: Vec<Input>,
    /// `<NAME>_KEY_SOURCE` (`file`; later `provider:pkcs11`) and `<NAME>_KEY` (a
    /// path; later a URI).
    pub environment: BTreeMap<String, String>,
}

/// Somebody who can sign for the owner.
pub trait Signer {
    /// The GUID under which the owner's certificates are enrolled in firmware.
    fn owner(&self) -> Uuid;

    /// The public half of a key.
    fn certificate(&self, role: Role) -> &Certificate;

    /// How a step reaches the private half.
    fn access(&self, role: Role) -> KeyAccess;
}

/// Adds a key and its certificate (at `/in/<name>.crt`, its path in
/// `<NAME>_CERTIFICATE`) to what a step sees.
pub fn grant(step: &mut Step, signer: &dyn Signer, role: Role) {
    let access = signer.access(role);
    step.inputs.extend(access.inputs);
    step.environment.extend(access.environment);
    let name = format!("{role}.crt");
    step.environment.insert(
        format!("{}_CERTIFICATE", role.variable()),
        format!("/in/{name}"),
    );
    let pem = signer.certificate(role).pem().into_bytes();
    step.inputs.push(Input::new(name, Source::Inline(pem)));
}

/// Signs the PE binary `file` of `unsigned` for Secure Boot with the db key.
/// The step's output is `signed.efi`.
#[must_use]
pub fn boot_binary(signer: &dyn Signer, name: &str, unsigned: &StepOutput, file: &str) -> Step {
    let script = include_str!("../steps/boot-binary.sh");
    let input = Input::new("unsigned", Source::Output(unsigned.clone()));
    step(signer, Role::Db, name, script, input, file)
}

/// Signs the dm-verity root hash in `file` of `hashed` with the image key. The
/// step's outputs are `core.p7s` (PKCS#7, DER) and `image.crt` (DER).
#[must_use]
pub fn root_hash(signer: &dyn Signer, name: &str, hashed: &StepOutput, file: &str) -> Step {
    let script = include_str!("../steps/root-hash.sh");
    let input = Input::new("hashed", Source::Output(hashed.clone()));
    step(signer, Role::Image, name, script, input, file)
}

/// Signs all kernel modules below the directory `directory` of `built` with the
/// db key, by the `sign-file` that lies in `built` too. The step's output is the
/// same tree with signed modules.
#[must_use]
pub fn modules(signer: &dyn Signer, name: &str, built: &StepOutput, directory: &str) -> Step {
    let script = include_str!("../steps/modules.sh");
    let input = Input::new("built", Source::Output(built.clone()));
    step(signer, Role::Db, name, script, input, directory)
}

fn step(
    signer: &dyn Signer,
    role: Role,
    name: &str,
    script: &str,
    input: Input,
    file: &str,
) -> Step {
    let mut step = Step {
        name: name.to_owned(),
        sdk: SdkName::new("image"),
        script: script.to_owned(),
        inputs: vec![input],
        environment: BTreeMap::from([("FILE".to_owned(), file.to_owned())]),
        expected: Duration::from_secs(2),
    };
    grant(&mut step, signer, role);
    step
}
