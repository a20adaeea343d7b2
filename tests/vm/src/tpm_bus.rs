//! What a tap on the TPM's bus gives away: commands and responses judged as TPM 2.0
//! Library, parts 1 and 3 define them, without knowing any of the secrets.
//!
//! A secret is safe on the bus when its parameter is encrypted, under a session whose
//! salt only the TPM can decrypt: a session without salt is encrypted with a key that
//! goes over the same bus.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use bastide_vm::TpmTraffic;

/// TPM_ST_SESSIONS: the command has an authorisation area.
const SESSIONS: u16 = 0x8002;
/// TPM_RS_PW: an authorisation in clear.
const PASSWORD: u32 = 0x4000_0009;
const RH_NULL: u32 = 0x4000_0007;
const RH_PLATFORM: u32 = 0x4000_000c;
const ALG_AES: u16 = 0x0006;
const ALG_CFB: u16 = 0x0043;

/// TPMA_SESSION: the first parameter of the command, of the response is encrypted.
const DECRYPT: u8 = 0x20;
const ENCRYPT: u8 = 0x40;

const NV_DEFINE_SPACE: u32 = 0x12a;
const HIERARCHY_CHANGE_AUTH: u32 = 0x129;
const NV_CHANGE_AUTH: u32 = 0x13b;
const OBJECT_CHANGE_AUTH: u32 = 0x150;
const CREATE_PRIMARY: u32 = 0x131;
const CREATE: u32 = 0x153;
const UNSEAL: u32 = 0x15e;
const START_AUTH_SESSION: u32 = 0x176;

/// How many handles come before the authorisation area (part 3), for those commands that
/// may have one and that anybody has reason to send here.
const HANDLES: &[(u32, usize)] = &[
    (0x11f, 2), // NV_UndefineSpaceSpecial
    (0x120, 2), // EvictControl
    (0x121, 1), // HierarchyControl
    (0x122, 2), // NV_UndefineSpace
    (0x126, 1), // Clear
    (0x127, 1), // ClearControl
    (HIERARCHY_CHANGE_AUTH, 1),
    (NV_DEFINE_SPACE, 1),
    (CREATE_PRIMARY, 1),
    (0x134, 2), // NV_Increment
    (0x135, 2), // NV_SetBits
    (0x136, 2), // NV_Extend
    (0x137, 2), // NV_Write
    (0x138, 2), // NV_WriteLock
    (0x139, 1), // DictionaryAttackLockReset
    (0x13a, 1), // DictionaryAttackParameters
    (NV_CHANGE_AUTH, 1),
    (0x13c, 1), // PCR_Event
    (0x13d, 1), // PCR_Reset
    (0x144, 0), // Startup
    (0x149, 3), // PolicyNV
    (0x14e, 2), // NV_Read
    (0x14f, 2), // NV_ReadLock
    (OBJECT_CHANGE_AUTH, 2),
    (0x151, 2), // PolicySecret
    (CREATE, 1),
    (0x156, 1), // Import
    (0x157, 1), // Load
    (0x15c, 1), // SequenceUpdate
    (UNSEAL, 1),
    (0x167, 0), // LoadExternal
    (0x169, 1), // NV_ReadPublic
    (0x16a, 1), // PolicyAuthorize
    (0x16c, 1), // PolicyCommandCode
    (0x173, 1), // ReadPublic
    (0x177, 1), // VerifySignature
    (0x17a, 0), // GetCapability
    (0x17b, 0), // GetRandom
    (0x17e, 0), // PCR_Read
    (0x17f, 1), // PolicyPCR
    (0x181, 0), // ReadClock
    (0x182, 1), // PCR_Extend
    (0x185, 2), // EventSequenceComplete
    (0x189, 1), // PolicyGetDigest
];

/// What was seen on the bus.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Secrets that the TPM gave out, each encrypted.
    pub unsealed: usize,
    /// Secrets and authorisations that it took, each encrypted.
    pub taken: usize,
}

/// Reads a message piece by piece.
struct Reader<'bytes>(&'bytes [u8]);

impl<'bytes> Reader<'bytes> {
    fn take(&mut self, length: usize) -> Result<&'bytes [u8]> {
        let (taken, rest) = self
            .0
            .split_at_checked(length)
            .context("a TPM message is cut")?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(self.take(1)?[0])
    }

    fn short(&mut self) -> Result<u16> {
        Ok(u16::from_be_bytes(self.take(2)?.try_into()?))
    }

    fn long(&mut self) -> Result<u32> {
        Ok(u32::from_be_bytes(self.take(4)?.try_into()?))
    }

    /// A `TPM2B`: two bytes of length, then that many.
    fn sized(&mut self) -> Result<&'bytes [u8]> {
        let length = usize::from(self.short()?);
        self.take(length)
    }
}

/// A session of a command's authorisation area.
#[derive(Clone, Copy, Debug)]
struct Used {
    handle: u32,
    attributes: u8,
}

/// Judges all traffic; an error says what a tap would have read.
pub fn judge(traffic: &TpmTraffic) -> Result<Verdict> {
    let mut verdict = Verdict::default();
    // Whether each session's key is out of reach of a tap.
    let mut sessions: BTreeMap<u32, bool> = BTreeMap::new();
    for (number, exchange) in traffic.exchanges.iter().enumerate() {
        one(
            &exchange.command,
            &exchange.response,
            &mut sessions,
            &mut verdict,
        )
        .with_context(|| format!("TPM command number {}", number + 1))?;
    }
    Ok(verdict)
}

fn one(
    command: &[u8],
    response: &[u8],
    sessions: &mut BTreeMap<u32, bool>,
    verdict: &mut Verdict,
) -> Result<()> {
    let mut reader = Reader(command);
    let tag = reader.short()?;
    reader.long()?;
    let code = reader.long()?;
    let mut answer = Reader(response);
    let succeeded = response.len() >= 10 && {
        answer.take(6)?;
        answer.long()? == 0
    };
    if code == START_AUTH_SESSION {
        if succeeded {
            let handle = answer.long()?;
            sessions.insert(handle, salted(&mut reader)?);
        }
        return Ok(());
    }
    if tag != SESSIONS {
        ensure!(code != UNSEAL, "Unseal without any session");
        return Ok(());
    }
    let handles = HANDLES.iter().find(|(known, _)| *known == code);
    let (_, handles) =
        handles.with_context(|| format!("a command with sessions that is not known: {code:#x}"))?;
    let handles = reader.take(handles * 4)?;
    let first = handles
        .first_chunk()
        .map(|handle| u32::from_be_bytes(*handle));
    let used = authorisations(&mut reader)?;
    let protected = |attribute: u8| {
        used.iter().any(|session| {
            session.attributes & attribute != 0
                && sessions.get(&session.handle).copied().unwrap_or(false)
        })
    };
    for session in &used {
        let encrypts = session.attributes & (DECRYPT | ENCRYPT) != 0;
        ensure!(
            !encrypts || sessions.get(&session.handle) == Some(&true),
            "parameters are encrypted under session {:#x}, whose key a tap can compute",
            session.handle
        );
    }
    match code {
        UNSEAL if succeeded => {
            ensure!(protected(ENCRYPT), "the sealed secret came out in clear");
            verdict.unsealed += 1;
        }
        CREATE | CREATE_PRIMARY => {
            // A key that the TPM makes itself has neither authorisation nor data.
            let given = reader.sized()?;
            if given != [0, 0, 0, 0] {
                ensure!(
                    protected(DECRYPT),
                    "a secret went in to be sealed, in clear"
                );
                verdict.taken += 1;
            }
        }
        // Firmware gives its own hierarchy a random authorisation and forgets it: so that
        // nobody has it, not so that anybody keeps it.
        HIERARCHY_CHANGE_AUTH if first == Some(RH_PLATFORM) => {}
        HIERARCHY_CHANGE_AUTH | NV_CHANGE_AUTH | OBJECT_CHANGE_AUTH | NV_DEFINE_SPACE
            if !reader.sized()?.is_empty() =>
        {
            ensure!(protected(DECRYPT), "a new authorisation went in, in clear");
            verdict.taken += 1;
        }
        _ => {}
    }
    Ok(())
}

/// Whether a new session is salted and encrypts with AES: from handles on.
fn salted(reader: &mut Reader<'_>) -> Result<bool> {
    let key = reader.long()?;
    reader.long()?;
    reader.sized()?;
    let salt = reader.sized()?;
    reader.byte()?;
    let cipher = reader.short()?;
    if cipher != ALG_AES {
        return Ok(false);
    }
    reader.short()?;
    Ok(key != RH_NULL && !salt.is_empty() && reader.short()? == ALG_CFB)
}

/// The sessions of the authorisation area; a password in it that says something is an error.
fn authorisations(reader: &mut Reader<'_>) -> Result<Vec<Used>> {
    let size = usize::try_from(reader.long()?)?;
    let mut area = Reader(reader.take(size)?);
    let mut used = Vec::new();
    while !area.0.is_empty() {
        let handle = area.long()?;
        area.sized()?;
        let attributes = area.byte()?;
        let authorisation = area.sized()?;
        if handle == PASSWORD && !authorisation.is_empty() {
            bail!("an authorisation went over the bus as a password, in clear");
        }
        used.push(Used { handle, attributes });
    }
    Ok(used)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bastide_vm::TpmTraffic;

    fn message(tag: u16, code: u32, parts: &[&[u8]]) -> Vec<u8> {
        let body = parts.concat();
        let size = u32::try_from(10 + body.len()).unwrap();
        [
            &tag.to_be_bytes()[..],
            &size.to_be_bytes(),
            &code.to_be_bytes(),
            &body,
        ]
        .concat()
    }

    fn sized(bytes: &[u8]) -> Vec<u8> {
        let length = u16::try_from(bytes.len()).unwrap();
        [&length.to_be_bytes()[..], bytes].concat()
    }

    fn area(handle: u32, attributes: u8, authorisation: &[u8]) -> Vec<u8> {
        let one = [
            &handle.to_be_bytes()[..],
            &sized(&[7; 16]),
            &[attributes],
            &sized(authorisation),
        ]
        .concat();
        let size = u32::try_from(one.len()).unwrap();
        [&size.to_be_bytes()[..], &one].concat()
    }

    fn traffic(exchanges: &[(Vec<u8>, Vec<u8>)]) -> TpmTraffic {
        let mut log = String::new();
        let mut add = |title: &str, bytes: &[u8]| {
            log.push_str(&format!(" {title}: length {}\n", bytes.len()));
            for line in bytes.chunks(16) {
                let line: Vec<String> = line.iter().map(|byte| format!("{byte:02X}")).collect();
                log.push_str(&format!(" {} \n", line.join(" ")));
            }
        };
        for (command, response) in exchanges {
            add("SWTPM_IO_Read", command);
            add("SWTPM_IO_Write", response);
        }
        TpmTraffic::parse(&log).unwrap()
    }

    const SESSION: u32 = 0x0200_0000;

    fn session(key: u32, salt: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let command = message(
            0x8001,
            START_AUTH_SESSION,
            &[
                &key.to_be_bytes(),
                &RH_NULL.to_be_bytes(),
                &sized(&[1; 16]),
                &sized(salt),
                &[0],
                &ALG_AES.to_be_bytes(),
                &128_u16.to_be_bytes(),
                &ALG_CFB.to_be_bytes(),
                &0x000b_u16.to_be_bytes(),
            ],
        );
        let response = message(0x8001, 0, &[&SESSION.to_be_bytes(), &sized(&[2; 16])]);
        (command, response)
    }

    fn unseal(attributes: u8) -> (Vec<u8>, Vec<u8>) {
        let object = 0x8000_0000_u32.to_be_bytes();
        let command = message(
            SESSIONS,
            UNSEAL,
            &[&object, &area(SESSION, attributes, &[3; 32])],
        );
        (command, message(SESSIONS, 0, &[&[0; 40]]))
    }

    #[test]
    fn a_secret_under_a_salted_encrypting_session_is_safe() {
        let good = traffic(&[session(0x8100_0001, &[9; 64]), unseal(ENCRYPT)]);
        assert_eq!(judge(&good).unwrap().unsealed, 1);
    }

    #[test]
    fn a_secret_in_clear_or_under_a_known_key_is_found() {
        let clear = traffic(&[session(0x8100_0001, &[9; 64]), unseal(0)]);
        assert!(judge(&clear).is_err());
        let unsalted = traffic(&[session(RH_NULL, &[]), unseal(ENCRYPT)]);
        assert!(judge(&unsalted).is_err());
        assert!(judge(&traffic(&[unseal(ENCRYPT)])).is_err());
    }

    #[test]
    fn what_goes_in_is_judged_as_what_comes_out() {
        let owner = 0x4000_0001_u32.to_be_bytes();
        let change = |area: &[u8]| {
            let command = message(
                SESSIONS,
                HIERARCHY_CHANGE_AUTH,
                &[&owner, area, &sized(&[5; 32])],
            );
            traffic(&[
                session(0x8100_0001, &[9; 64]),
                (command, message(SESSIONS, 0, &[])),
            ])
        };
        assert_eq!(
            judge(&change(&area(SESSION, DECRYPT, &[]))).unwrap().taken,
            1
        );
        assert!(judge(&change(&area(SESSION, 0, &[]))).is_err());
        assert!(judge(&change(&area(PASSWORD, 0, &[]))).is_err());
        assert!(judge(&change(&area(PASSWORD, 0, b"secret"))).is_err());
    }
}
