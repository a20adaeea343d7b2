//! Platform configuration registers.

use bastide_tpm_policy::{Digest, Pcr};

use crate::TpmError;
use crate::channel::Ask;
use crate::code::Code;
use crate::command::{Command, Entity};
use crate::wire::Reader;

const SHA256: u16 = 0x000b;

/// `TPML_DIGEST_VALUES` has at most so many banks.
const MOST_BANKS: u32 = 16;

pub(crate) fn read(channel: &(impl Ask + ?Sized), pcr: Pcr) -> Result<Digest, TpmError> {
    let mut command = Command::new(Code::PCR_READ, &[]);
    command.parameters.bytes(&pcr.selection());
    let answer = channel.ask(&mut command)?;
    answer
        .read(|reader| {
            let _update_counter = reader.u32()?;
            let selection = reader.bytes(10)?;
            let digests = reader.u32()?;
            // What it does not have, the TPM leaves out of both.
            if selection != pcr.selection() || digests != 1 {
                reader.rest();
                return Some(None);
            }
            let value: [u8; 32] = reader.sized(32)?.try_into().ok()?;
            Some(Some(Digest::from_bytes(value)))
        })?
        .ok_or(TpmError::NoSha256Bank)
}

pub(crate) fn extend(channel: &(impl Ask + ?Sized), pcr: Pcr, word: &str) -> Result<(), TpmError> {
    // The TPM itself hashes the word for each bank (part 3, 22.3): no bank is left out,
    // whatever the firmware activated.
    let entity = Entity::by_handle(u32::from(pcr.number()));
    let mut command = Command::new(Code::PCR_EVENT, &[entity]);
    command.parameters.sized(word.as_bytes());
    let answer = channel.ask_openly(&mut command)?;
    let extended = answer.read(sha256_bank)?;
    match extended {
        Some(digest) if digest == Digest::of(&[word.as_bytes()]) => Ok(()),
        Some(_) => Err(command.malformed()),
        None => Err(TpmError::NoSha256Bank),
    }
}

/// What the SHA-256 bank was extended with, out of `TPML_DIGEST_VALUES`.
fn sha256_bank(reader: &mut Reader<'_>) -> Option<Option<Digest>> {
    let count = reader.u32()?;
    if count > MOST_BANKS {
        return None;
    }
    let mut found = None;
    for _ in 0..count {
        let algorithm = reader.u16()?;
        let digest = reader.bytes(digest_size(algorithm)?)?;
        if algorithm == SHA256 {
            found = Some(Digest::from_bytes(digest.try_into().ok()?));
        }
    }
    Some(found)
}

/// Bytes of a digest (TCG Algorithm Registry).
fn digest_size(algorithm: u16) -> Option<usize> {
    match algorithm {
        0x0004 => Some(20),
        // SHA-256, SM3, SHA3-256.
        SHA256 | 0x0012 | 0x0027 => Some(32),
        0x000c | 0x0028 => Some(48),
        0x000d | 0x0029 => Some(64),
        _ => None,
    }
}
