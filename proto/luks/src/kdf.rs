//! Key derivation of key slots.

use argon2::{Algorithm, Argon2, Block, Params, Version};
use pbkdf2::pbkdf2_hmac;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::{Zeroize, Zeroizing};

use crate::{
    HeaderError, KeyslotError, Passphrase, Random,
    json::{Bytes, Hash},
};

/// Bytes of a salt; cryptsetup refuses others.
pub const SALT_SIZE: usize = 32;

/// Fewest iterations of PBKDF2 that cryptsetup takes.
pub const FEWEST_ITERATIONS: u32 = 1000;

/// Most iterations that we compute for a header: minutes on a slow machine.
pub const MOST_ITERATIONS: u32 = 50_000_000;

const MOST_PASSES: u32 = 64;
const LEAST_MEMORY: u32 = 32;
const MOST_MEMORY: u32 = 1024 * 1024;
const MOST_LANES: u32 = 4;

/// How a passphrase becomes the key of a key slot's area.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", deny_unknown_fields)]
pub enum Kdf {
    /// PBKDF2-HMAC-SHA-256.
    #[serde(rename = "pbkdf2")]
    Pbkdf2 {
        /// `sha256`
        hash: Hash,
        /// Iterations.
        iterations: u32,
        /// Salt.
        salt: Bytes<SALT_SIZE>,
    },
    /// Argon2id, version 1.3.
    #[serde(rename = "argon2id")]
    Argon2id {
        /// Passes.
        time: u32,
        /// Memory, in KiB.
        memory: u32,
        /// Lanes.
        cpus: u32,
        /// Salt.
        salt: Bytes<SALT_SIZE>,
    },
    /// Argon2i, version 1.3; read, not written.
    #[serde(rename = "argon2i")]
    Argon2i {
        /// Passes.
        time: u32,
        /// Memory, in KiB.
        memory: u32,
        /// Lanes.
        cpus: u32,
        /// Salt.
        salt: Bytes<SALT_SIZE>,
    },
}

/// How much work a new key slot's passphrase needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// The passphrase has the entropy of a key: PBKDF2 with the fewest iterations.
    HighEntropy,
    /// A person chose the passphrase: Argon2id.
    Chosen {
        /// Passes, from 4 to 64.
        passes: u32,
        /// Memory in KiB, at most 1 GiB.
        memory: u32,
        /// Lanes, from 1 to 4.
        lanes: u32,
    },
}

impl Kdf {
    pub(crate) fn new(effort: Effort, random: Random<'_>) -> Result<Self, HeaderError> {
        let mut salt = [0; SALT_SIZE];
        random(&mut salt).map_err(HeaderError::Random)?;
        let salt = Bytes(salt);
        let kdf = match effort {
            Effort::HighEntropy => Self::Pbkdf2 {
                hash: Hash::Sha256,
                iterations: FEWEST_ITERATIONS,
                salt,
            },
            Effort::Chosen {
                passes,
                memory,
                lanes,
            } => Self::Argon2id {
                time: passes,
                memory,
                cpus: lanes,
                salt,
            },
        };
        kdf.validate()?;
        Ok(kdf)
    }

    pub(crate) fn validate(&self) -> Result<(), HeaderError> {
        match *self {
            Self::Pbkdf2 { iterations, .. } => {
                if !(FEWEST_ITERATIONS..=MOST_ITERATIONS).contains(&iterations) {
                    return Err(HeaderError::Bounds("number of iterations"));
                }
            }
            Self::Argon2id {
                time, memory, cpus, ..
            }
            | Self::Argon2i {
                time, memory, cpus, ..
            } => {
                if !(1..=MOST_PASSES).contains(&time) {
                    return Err(HeaderError::Bounds("number of passes"));
                }
                if !(LEAST_MEMORY..=MOST_MEMORY).contains(&memory) {
                    return Err(HeaderError::Bounds("memory of a key derivation"));
                }
                if !(1..=MOST_LANES).contains(&cpus) {
                    return Err(HeaderError::Bounds("number of lanes"));
                }
            }
        }
        Ok(())
    }

    pub(crate) fn derive(
        &self,
        passphrase: &Passphrase,
        size: usize,
    ) -> Result<Zeroizing<Vec<u8>>, KeyslotError> {
        let mut key = Zeroizing::new(vec![0; size]);
        match self {
            Self::Pbkdf2 {
                iterations, salt, ..
            } => pbkdf2_hmac::<Sha256>(passphrase.bytes(), &salt.0, *iterations, &mut key),
            Self::Argon2id {
                time,
                memory,
                cpus,
                salt,
            } => {
                let cost = (*time, *memory, *cpus);
                argon2(Algorithm::Argon2id, cost, salt, passphrase, &mut key)?;
            }
            Self::Argon2i {
                time,
                memory,
                cpus,
                salt,
            } => {
                let cost = (*time, *memory, *cpus);
                argon2(Algorithm::Argon2i, cost, salt, passphrase, &mut key)?;
            }
        }
        Ok(key)
    }
}

fn argon2(
    algorithm: Algorithm,
    (time, memory, cpus): (u32, u32, u32),
    salt: &Bytes<SALT_SIZE>,
    passphrase: &Passphrase,
    key: &mut [u8],
) -> Result<(), KeyslotError> {
    let parameters =
        Params::new(memory, time, cpus, Some(key.len())).map_err(KeyslotError::Derivation)?;
    // The header chose the size: running out of memory is an answer, not a crash.
    let mut blocks = Vec::new();
    blocks
        .try_reserve_exact(parameters.block_count())
        .map_err(|_| KeyslotError::Memory(memory))?;
    blocks.resize(parameters.block_count(), Block::default());
    let result = Argon2::new(algorithm, Version::V0x13, parameters).hash_password_into_with_memory(
        passphrase.bytes(),
        &salt.0,
        key,
        &mut blocks,
    );
    blocks.zeroize();
    result.map_err(KeyslotError::Derivation)
}
