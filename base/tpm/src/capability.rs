//! What the TPM says of itself (part 3, 30).

use crate::TpmError;
use crate::channel::Ask;
use crate::code::Code;
use crate::command::Command;

const CAP_HANDLES: u32 = 1;
const CAP_TPM_PROPERTIES: u32 = 6;

/// Where the handles of NV indices start.
pub(crate) const FIRST_NV_INDEX: u32 = 0x0100_0000;
/// Where the handles of persistent objects start.
pub(crate) const FIRST_PERSISTENT: u32 = 0x8100_0000;

const FIRST_FIXED: u32 = 0x100;
const MANUFACTURER: u32 = 0x105;
const VENDOR_STRING: [u32; 4] = [0x106, 0x107, 0x108, 0x109];
const FIRMWARE_VERSION: [u32; 2] = [0x10b, 0x10c];
const FIRST_VARIABLE: u32 = 0x200;
const PERMANENT: u32 = 0x200;
const LOCKOUT_COUNTER: u32 = 0x20e;
const MAX_AUTH_FAIL: u32 = 0x20f;
const LOCKOUT_INTERVAL: u32 = 0x210;
const LOCKOUT_RECOVERY: u32 = 0x211;

/// Asked for, and accepted, at once.
const MOST_AT_ONCE: u32 = 64;
/// A TPM has room for some dozens of indices.
const MOST_ROUNDS: usize = 16;

/// How the TPM stands with wrong guesses of authorisation values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuessingProtection {
    /// Nothing that is protected can be used now.
    pub locked: bool,
    /// Wrong guesses that count at present.
    pub failures: u32,
    /// So many lock it.
    pub max_failures: u32,
    /// Seconds until one is forgotten.
    pub interval: u32,
    /// Seconds for which a wrong lockout authorisation locks that.
    pub lockout_recovery: u32,
}

/// What a TPM says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Properties {
    /// The vendor's four letters.
    pub manufacturer: String,
    /// The vendor's words for the model.
    pub vendor: String,
    /// The version of its firmware, as the vendor counts.
    pub firmware: u64,
    /// Whether somebody set the owner's authorisation.
    pub owner_set: bool,
    /// Whether somebody set the endorsement hierarchy's authorisation.
    pub endorsement_set: bool,
    /// Whether somebody set the lockout authorisation.
    pub lockout_set: bool,
    /// Whether clearing with the lockout authorisation was forbidden.
    pub clear_disabled: bool,
    /// How it stands with wrong guesses.
    pub guessing: GuessingProtection,
}

/// The TPM's clock (part 1, 36).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// Milliseconds since power came, or since the last reset.
    pub time: u64,
    /// Milliseconds that it was powered since it was cleared. Never goes back by more
    /// than the time between two writes of it to NV memory.
    pub clock: u64,
    /// How often it was reset: once per boot.
    pub resets: u32,
    /// How often it was resumed or restarted since.
    pub restarts: u32,
    /// Whether `clock` certainly never showed a later value.
    pub safe: bool,
}

pub(crate) fn properties(channel: &(impl Ask + ?Sized)) -> Result<Properties, TpmError> {
    let fixed = tagged(channel, FIRST_FIXED)?;
    let variable = tagged(channel, FIRST_VARIABLE)?;
    let value = |list: &[(u32, u32)], wanted: u32| {
        list.iter()
            .find(|(property, _)| *property == wanted)
            .map_or(0, |(_, value)| *value)
    };
    let text = |properties: &[u32]| -> String {
        properties
            .iter()
            .flat_map(|property| value(&fixed, *property).to_be_bytes())
            // Shown on consoles and in logs.
            .filter(|byte| byte.is_ascii_graphic() || *byte == b' ')
            .map(char::from)
            .collect::<String>()
            .trim()
            .to_owned()
    };
    // `TPMA_PERMANENT` (part 2, 8.6).
    let permanent = value(&variable, PERMANENT);
    let [major, minor] = FIRMWARE_VERSION.map(|property| u64::from(value(&fixed, property)));
    Ok(Properties {
        manufacturer: text(&[MANUFACTURER]),
        vendor: text(&VENDOR_STRING),
        firmware: major << 32 | minor,
        owner_set: permanent & 1 << 0 != 0,
        endorsement_set: permanent & 1 << 1 != 0,
        lockout_set: permanent & 1 << 2 != 0,
        clear_disabled: permanent & 1 << 8 != 0,
        guessing: GuessingProtection {
            locked: permanent & 1 << 9 != 0,
            failures: value(&variable, LOCKOUT_COUNTER),
            max_failures: value(&variable, MAX_AUTH_FAIL),
            interval: value(&variable, LOCKOUT_INTERVAL),
            lockout_recovery: value(&variable, LOCKOUT_RECOVERY),
        },
    })
}

/// A group of properties, each with its tag.
fn tagged(channel: &(impl Ask + ?Sized), first: u32) -> Result<Vec<(u32, u32)>, TpmError> {
    let mut command = get(CAP_TPM_PROPERTIES, first);
    let answer = channel.ask(&mut command)?;
    answer.read(|reader| {
        // Whether there are more: of the next group, then.
        reader.byte()?;
        if reader.u32()? != CAP_TPM_PROPERTIES {
            return None;
        }
        let count = reader.u32().filter(|count| *count <= MOST_AT_ONCE)?;
        (0..count)
            .map(|_| Some((reader.u32()?, reader.u32()?)))
            .collect()
    })
}

/// All handles of the kind that `first` is of.
pub(crate) fn handles(channel: &(impl Ask + ?Sized), first: u32) -> Result<Vec<u32>, TpmError> {
    let kind = first >> 24;
    let mut all: Vec<u32> = Vec::new();
    let mut next = first;
    for _ in 0..MOST_ROUNDS {
        let mut command = get(CAP_HANDLES, next);
        let answer = channel.ask(&mut command)?;
        let (more, handles) = answer.read(|reader| {
            let more = reader.byte()? != 0;
            if reader.u32()? != CAP_HANDLES {
                return None;
            }
            let count = reader.u32().filter(|count| *count <= MOST_AT_ONCE)?;
            let handles: Option<Vec<u32>> = (0..count).map(|_| reader.u32()).collect();
            Some((more, handles?))
        })?;
        if handles
            .iter()
            .any(|handle| handle >> 24 != kind || *handle < next)
        {
            return Err(command.malformed());
        }
        all.extend(&handles);
        match handles.last().and_then(|last| last.checked_add(1)) {
            Some(following) if more => next = following,
            _ => return Ok(all),
        }
    }
    Err(get(CAP_HANDLES, first).malformed())
}

fn get(capability: u32, first: u32) -> Command {
    let mut command = Command::new(Code::GET_CAPABILITY, &[]);
    command
        .parameters
        .u32(capability)
        .u32(first)
        .u32(MOST_AT_ONCE);
    command
}

pub(crate) fn clock(channel: &(impl Ask + ?Sized)) -> Result<Clock, TpmError> {
    let answer = channel.ask(&mut Command::new(Code::READ_CLOCK, &[]))?;
    answer.read(|reader| {
        Some(Clock {
            time: reader.u64()?,
            clock: reader.u64()?,
            resets: reader.u32()?,
            restarts: reader.u32()?,
            safe: reader.byte()? != 0,
        })
    })
}
