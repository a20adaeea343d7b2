//! The TPM, for whoever was granted it: what the state's key is sealed to.
//!
//! Commands are put together by hand (TPM 2.0 Library, part 3), to share nothing with
//! the code under test.

use std::fs::File;
use std::io::{Read, Write};

use anyhow::{Context, Result, bail};

/// The TPM behind the kernel's resource manager.
const DEVICE: &str = "/dev/tpmrm0";

/// The PCR that the kernel bundle is measured into.
const BUNDLE_PCR: u8 = 11;

/// The NV index of the machine's record, and its size.
const RECORD: u32 = 0x01b0_5701;
const RECORD_SIZE: u16 = 144;

const NO_SESSIONS: u16 = 0x8001;
const SESSIONS: u16 = 0x8002;
const SHA256: u16 = 0x000b;
const NULL: u16 = 0x0010;
const RH_NULL: u32 = 0x4000_0007;
const PASSWORD: u32 = 0x4000_0009;

/// Starts a policy session, lets it look at PCR 11 as it is now, and shows the policy
/// digest that comes of it: unsealing would need the one that the owner signed.
pub fn unseal_policy() -> Result<()> {
    let mut tpm = Tpm::open()?;
    let nonce = [0x5a; 16];
    let mut start = Vec::new();
    start.extend(RH_NULL.to_be_bytes());
    start.extend(RH_NULL.to_be_bytes());
    start.extend(sized(&nonce)?);
    start.extend(sized(&[])?);
    // A policy session, with nothing encrypted.
    start.push(1);
    start.extend(NULL.to_be_bytes());
    start.extend(SHA256.to_be_bytes());
    let answer = tpm.command(NO_SESSIONS, 0x176, &start)?;
    let session = answer
        .get(..4)
        .context("the session has no handle")?
        .to_vec();

    let mut policy = session.clone();
    policy.extend(sized(&[])?);
    policy.extend(1_u32.to_be_bytes());
    policy.extend(SHA256.to_be_bytes());
    let mut selection = [0_u8; 3];
    selection[usize::from(BUNDLE_PCR / 8)] = 1 << (BUNDLE_PCR % 8);
    policy.push(3);
    policy.extend(selection);
    tpm.command(NO_SESSIONS, 0x17f, &policy)?;

    let answer = tpm.command(NO_SESSIONS, 0x189, &session)?;
    let digest = answer.get(2..).context("the policy has no digest")?;
    println!("digest {}", hex::encode(digest));
    Ok(())
}

/// Reads the machine's record: that the TPM answers at all is the counter-proof.
pub fn record() -> Result<()> {
    let mut tpm = Tpm::open()?;
    let mut read = Vec::new();
    read.extend(RECORD.to_be_bytes());
    read.extend(RECORD.to_be_bytes());
    let mut area = Vec::new();
    area.extend(PASSWORD.to_be_bytes());
    area.extend(sized(&[])?);
    area.push(0);
    area.extend(sized(&[])?);
    read.extend(u32::try_from(area.len())?.to_be_bytes());
    read.extend(area);
    read.extend(RECORD_SIZE.to_be_bytes());
    read.extend(0_u16.to_be_bytes());
    let answer = tpm.command(SESSIONS, 0x14e, &read)?;
    println!("{} bytes", answer.len());
    Ok(())
}

fn sized(bytes: &[u8]) -> Result<Vec<u8>> {
    let length = u16::try_from(bytes.len())?;
    Ok([&length.to_be_bytes()[..], bytes].concat())
}

struct Tpm(File);

impl Tpm {
    fn open() -> Result<Self> {
        Ok(Self(File::options().read(true).write(true).open(DEVICE)?))
    }

    /// Sends a command and hands out what follows the answer's header.
    fn command(&mut self, tag: u16, code: u32, body: &[u8]) -> Result<Vec<u8>> {
        let size = u32::try_from(10 + body.len())?;
        let header = [
            &tag.to_be_bytes()[..],
            &size.to_be_bytes(),
            &code.to_be_bytes(),
        ]
        .concat();
        self.0.write_all(&[&header, body].concat())?;
        let mut answer = vec![0; 4096];
        let length = self.0.read(&mut answer)?;
        answer.truncate(length);
        let code: [u8; 4] = answer.get(6..10).context("a cut answer")?.try_into()?;
        match u32::from_be_bytes(code) {
            0 => Ok(answer.split_off(10)),
            code => bail!(super::varlink::refused(&format!("TPM says {code:#x}"))),
        }
    }
}
