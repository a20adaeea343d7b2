//! The Core image: one file of EROFS, dm-verity hashes and FEC, and its signature.

use std::collections::BTreeMap;
use std::time::Duration;

use bastide_boot::{Geometry, HashOffset};
use bastide_recipe::{Engine, Input, SdkName, Source, Step, StepOutput};
use bastide_sign::{Signer, steps};
use serde::Deserialize;

use crate::Error;
use crate::error::read;

/// The kernel reads zstd. Level 19 would save seven percent more and take forty times
/// as long; 32 KiB at a time is where a better ratio stops paying for reading more than
/// was asked for.
const EROFS_OPTIONS: &str = "-zzstd,level=6 -C32768";

/// What the step says of the image it made (`core.json`).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CoreDescription {
    /// SHA-256 root hash of dm-verity, 64 hexadecimal digits.
    pub root_hash: String,
    /// Bytes of the whole image.
    pub size: u64,
    /// Blocks of 4096 bytes of the file system.
    pub data_blocks: u64,
    /// Where the hash area starts, in bytes.
    pub hash_offset: u64,
    /// Where the FEC area starts, in bytes.
    pub fec_offset: u64,
    /// The salt of the hashes, hexadecimal.
    pub salt: String,
    /// UUID in the verity superblock.
    pub verity_uuid: String,
    /// UUID of the file system.
    pub file_system_uuid: String,
}

/// State of an image that nobody vouches for yet.
#[derive(Clone, Debug)]
pub struct Built(());

/// State of an image whose root hash the image key signed.
#[derive(Clone, Debug)]
pub struct Signed {
    /// The step's output: `core.p7s` and `image.crt`.
    pub signature: StepOutput,
}

/// A Core image. Only a signed one gets into an initramfs.
#[derive(Clone, Debug)]
pub struct CoreImage<State> {
    /// The step's output: `core.img`, `core.roothash` and `core.json`.
    pub output: StepOutput,
    /// What it says of itself.
    pub description: CoreDescription,
    /// Whether it is signed.
    pub state: State,
}

impl CoreImage<Built> {
    /// Makes the image of a composed root file system.
    ///
    /// # Errors
    /// When the step fails, or lays the image out as the initramfs does not expect.
    pub fn build(engine: &Engine, rootfs: &StepOutput) -> Result<Self, Error> {
        let output = engine.run(&Step {
            name: "core-image".to_owned(),
            sdk: SdkName::new("image"),
            script: include_str!("../steps/core-image.sh").to_owned(),
            inputs: vec![Input::new("rootfs", Source::Output(rootfs.clone()))],
            environment: BTreeMap::from([
                ("EROFS_OPTIONS".to_owned(), EROFS_OPTIONS.to_owned()),
                ("LABEL".to_owned(), "bastide-core".to_owned()),
            ]),
            expected: Duration::from_secs(5),
        })?;
        let path = output.directory.join("core.json");
        let description: CoreDescription =
            serde_json::from_str(&read(&path)?).map_err(|source| Error::Json { path, source })?;
        check_layout(&description)?;
        Ok(Self {
            output,
            description,
            state: Built(()),
        })
    }

    /// Has the root hash signed.
    ///
    /// # Errors
    /// When the step fails.
    pub fn sign(self, engine: &Engine, signer: &dyn Signer) -> Result<CoreImage<Signed>, Error> {
        let step = steps::root_hash(signer, "core-signature", &self.output, "core.roothash");
        let signature = engine.run(&step)?;
        Ok(CoreImage {
            output: self.output,
            description: self.description,
            state: Signed { signature },
        })
    }
}

impl<State> CoreImage<State> {
    /// Where the hash area starts.
    ///
    /// # Errors
    /// When it starts where no Core's does.
    pub fn hash_offset(&self) -> Result<HashOffset, Error> {
        Ok(HashOffset::from_bytes(self.description.hash_offset)?)
    }
}

/// The initramfs computes all offsets from the signed hash offset, so both sides must
/// compute alike.
fn check_layout(description: &CoreDescription) -> Result<(), Error> {
    let geometry = Geometry::new(HashOffset::from_bytes(description.hash_offset)?);
    if description.fec_offset != geometry.fec_offset() {
        return Err(Error::Geometry {
            found: description.fec_offset,
            expected: geometry.fec_offset(),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn description(fec_offset: u64) -> CoreDescription {
        CoreDescription {
            root_hash: "ab".repeat(32),
            size: 1_433_600,
            data_blocks: 341,
            hash_offset: 341 * 4096,
            fec_offset,
            salt: String::new(),
            verity_uuid: String::new(),
            file_system_uuid: String::new(),
        }
    }

    #[test]
    fn a_layout_that_the_initramfs_does_not_compute_is_refused() {
        // 341 data blocks: superblock, three leaves and one root.
        assert!(check_layout(&description((341 + 1 + 3 + 1) * 4096)).is_ok());
        assert!(matches!(
            check_layout(&description((341 + 4) * 4096)),
            Err(Error::Geometry { .. })
        ));
    }
}
