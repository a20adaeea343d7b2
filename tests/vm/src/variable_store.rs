//! The firmware's variable store, read offline.
//!
//! Layout: EDK II, MdeModulePkg/Include/Guid/VariableFormat.h, authenticated
//! variables, in a firmware volume (PI specification, volume 3).

use anyhow::{Context, Result, ensure};
use bastide_efi::{Fingerprint, SignatureKind, parse_signature_lists};

/// gEfiAuthenticatedVariableGuid, as it lies in memory.
const AUTHENTICATED: [u8; 16] = [
    0x78, 0x2c, 0xf3, 0xaa, 0x7b, 0x94, 0x9a, 0x43, 0xa1, 0x80, 0x2e, 0x14, 0x4e, 0xc3, 0x77, 0x92,
];
const STORE_HEADER: usize = 28;
const VARIABLE_HEADER: usize = 60;
/// Of the states a variable goes through, the only one in which it is in force.
const ADDED: u8 = 0x3f;

/// A variable in force.
#[derive(Debug)]
pub struct Stored {
    /// Its name.
    pub name: String,
    /// Its data.
    pub data: Vec<u8>,
}

fn number(bytes: &[u8], at: usize, length: usize) -> Result<usize> {
    let field = bytes
        .get(at..at + length)
        .context("the variable store is cut off")?;
    Ok(field
        .iter()
        .rev()
        .fold(0, |sum, byte| sum << 8 | usize::from(*byte)))
}

/// The variables in force.
pub fn variables(store: &[u8]) -> Result<Vec<Stored>> {
    let mut at = number(store, 48, 2)?;
    ensure!(
        store.get(at..at + 16) == Some(&AUTHENTICATED[..]),
        "the variable store holds no authenticated variables"
    );
    let end = at + number(store, at + 16, 4)?;
    at += STORE_HEADER;
    let mut found = Vec::new();
    while at + VARIABLE_HEADER <= end && number(store, at, 2)? == 0x55aa {
        let state = number(store, at + 2, 1)?;
        let name_length = number(store, at + 36, 4)?;
        let data_length = number(store, at + 40, 4)?;
        let name_at = at + VARIABLE_HEADER;
        let data_at = name_at + name_length;
        let name = store
            .get(name_at..data_at)
            .context("a variable's name is cut off")?;
        let data = store
            .get(data_at..data_at + data_length)
            .context("a variable is cut off")?;
        if state == usize::from(ADDED) {
            let units: Vec<u16> = name
                .chunks_exact(2)
                .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
                .take_while(|unit| *unit != 0)
                .collect();
            found.push(Stored {
                name: String::from_utf16(&units)?,
                data: data.to_vec(),
            });
        }
        at = (data_at + data_length).next_multiple_of(4);
    }
    Ok(found)
}

/// The certificates in the signature database `name`; anything else in it is an error.
pub fn certificates(variables: &[Stored], name: &str) -> Result<Vec<Fingerprint>> {
    let variable = variables
        .iter()
        .find(|variable| variable.name == name)
        .with_context(|| format!("the variable store has no {name}"))?;
    parse_signature_lists(&variable.data)?
        .into_iter()
        .map(|signature| match signature.kind {
            SignatureKind::Certificate(fingerprint) => Ok(fingerprint),
            other => anyhow::bail!("{name} holds something that is no certificate: {other:?}"),
        })
        .collect()
}
