//! Messages of the kernel's audit (netlink(7), include/uapi/linux/audit.h).
//!
//! A netlink header, then text: `audit(SECONDS.MILLISECONDS:SERIAL): KEY=VALUE ...`.

use crate::entry::{LONGEST_MESSAGE, Priority, Said};
use crate::text::lossy;

/// The largest message read, in bytes (`MAX_AUDIT_MESSAGE_LENGTH` and its header).
pub const LONGEST: usize = 8970 + HEADER;

/// The size of a netlink header.
const HEADER: usize = 16;

/// Ends an event of several records, and says nothing itself.
const END_OF_EVENT: u16 = 1320;

/// A message that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a message of the kernel's audit is not understood")]
pub struct NoMessage;

/// Reads a datagram; `None` is a message that is no audit record, such as an
/// acknowledgement.
///
/// # Errors
/// When it is no message at all.
pub fn parse(bytes: &[u8]) -> Result<Option<Said>, NoMessage> {
    let (length, rest) = bytes.split_first_chunk::<4>().ok_or(NoMessage)?;
    let (kind, rest) = rest.split_first_chunk::<2>().ok_or(NoMessage)?;
    // Flags, sequence and port are of no use here.
    let text = rest.get(HEADER - 6..).ok_or(NoMessage)?;
    let kind = u16::from_ne_bytes(*kind);
    let is_record = kind == 1006 || (1100..=2999).contains(&kind);
    if !is_record || kind == END_OF_EVENT {
        return Ok(None);
    }
    // The kernel leaves the header out of the length when it sends to the audit daemon
    // (kauditd_send_multicast_skb() tells the story), and pads nothing.
    let length = usize::try_from(u32::from_ne_bytes(*length)).map_err(|_| NoMessage)?;
    if length != bytes.len() && length.checked_add(HEADER) != Some(bytes.len()) {
        return Err(NoMessage);
    }
    let end = text.iter().rposition(|byte| !matches!(byte, 0 | b'\n'));
    let text = end.and_then(|end| text.get(..=end)).unwrap_or_default();
    let (text, cut) = lossy(text, LONGEST_MESSAGE);
    let (stamp, message) = match stamp(&text) {
        Some((time, serial, message)) => (Some((time, serial)), message),
        None => (None, text.as_str()),
    };
    let mut said = Said::new(priority(kind), message.to_owned());
    said.cut = cut;
    said.field("audit_type", &kind.to_string());
    if let Some(name) = name(kind) {
        said.field("audit_name", name);
    }
    if let Some((time, serial)) = stamp {
        said.field("audit_time", time);
        said.field("audit_serial", serial);
    }
    Ok(Some(said))
}

/// The user that a record's message is about, if it names one. The kernel writes what a
/// program can choose, its name for one, in quotes or as digits, so that no such thing
/// stands at the beginning of a word.
#[must_use]
pub fn user(message: &str) -> Option<u32> {
    let mut words = message.split(' ');
    words
        .find_map(|word| word.strip_prefix("uid="))?
        .parse()
        .ok()
}

/// `audit(TIME:SERIAL): ` in front of a record.
fn stamp(text: &str) -> Option<(&str, &str, &str)> {
    let (stamp, rest) = text.strip_prefix("audit(")?.split_once("):")?;
    let (time, serial) = stamp.split_once(':')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (seconds, milliseconds) = time.split_once('.')?;
    let fits = digits(seconds) && digits(milliseconds) && digits(serial) && stamp.len() <= 64;
    fits.then(|| (time, serial, rest.strip_prefix(' ').unwrap_or(rest)))
}

/// Denials, anomalies and integrity failures are warnings.
fn priority(kind: u16) -> Priority {
    match kind {
        1326 | 1400..=1499 | 1700..=1899 => Priority::WARNING,
        1305 | 1330 | 1331 => Priority::NOTICE,
        _ => Priority::INFORMATION,
    }
}

/// The kinds that a machine like ours has.
fn name(kind: u16) -> Option<&'static str> {
    Some(match kind {
        1006 => "LOGIN",
        1300 => "SYSCALL",
        1302 => "PATH",
        1303 => "IPC",
        1304 => "SOCKETCALL",
        1305 => "CONFIG_CHANGE",
        1306 => "SOCKADDR",
        1307 => "CWD",
        1309 => "EXECVE",
        1321 => "BPRM_FCAPS",
        1322 => "CAPSET",
        1323 => "MMAP",
        1325 => "NETFILTER_CFG",
        1326 => "SECCOMP",
        1327 => "PROCTITLE",
        1330 => "KERN_MODULE",
        1334 => "BPF",
        1335 => "EVENT_LISTENER",
        1336 => "URINGOP",
        1337 => "OPENAT2",
        1338 => "DM_CTRL",
        1339 => "DM_EVENT",
        1400 => "AVC",
        1420 => "IPE_ACCESS",
        1421 => "IPE_CONFIG_CHANGE",
        1422 => "IPE_POLICY_LOAD",
        1423 => "LANDLOCK_ACCESS",
        1424 => "LANDLOCK_DOMAIN",
        1700 => "ANOM_PROMISCUOUS",
        1701 => "ANOM_ABEND",
        1702 => "ANOM_LINK",
        1703 => "ANOM_CREAT",
        1800 => "INTEGRITY_DATA",
        1801 => "INTEGRITY_METADATA",
        1802 => "INTEGRITY_STATUS",
        1805 => "INTEGRITY_RULE",
        2000 => "KERNEL",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, text: &[u8], quirk: bool) -> Vec<u8> {
        let length = u32::try_from(text.len() + if quirk { 0 } else { HEADER }).unwrap();
        let mut bytes = length.to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend([0; 10]);
        bytes.extend(text);
        bytes
    }

    #[test]
    fn records_are_read_with_either_length() {
        for quirk in [true, false] {
            let bytes = message(1326, b"audit(1364481363.243:24287): pid=7 sig=31\0", quirk);
            let said = parse(&bytes).unwrap().unwrap();
            assert_eq!(said.message, "pid=7 sig=31");
            assert_eq!(said.priority, Priority::WARNING);
            assert_eq!(said.fields["audit_name"], "SECCOMP");
            assert_eq!(said.fields["audit_serial"], "24287");
            assert_eq!(said.fields["audit_time"], "1364481363.243");
        }
    }

    #[test]
    fn the_user_is_the_kernel_s_word() {
        let seccomp = "auid=4294967295 uid=501 gid=501 ses=1 pid=7 comm=\"uid=502\" sig=31";
        assert_eq!(user(seccomp), Some(501));
        assert_eq!(user("comm=\"uid=502\" pid=7"), None);
        assert_eq!(user("uid=x uid=3"), None);
        assert_eq!(user("ouid=3 fsuid=4"), None);
    }

    #[test]
    fn what_is_no_record_is_passed_over_or_refused() {
        for kind in [2, 1000, 1099, 1320, 3000] {
            assert_eq!(parse(&message(kind, b"x", true)), Ok(None), "{kind}");
            // An acknowledgement may quote what it answers, cut short.
            let cut = &message(kind, b"quoted", false)[..18];
            assert_eq!(parse(cut), Ok(None), "{kind}");
        }
        let whole = message(1300, b"audit(1.2:3): x", true);
        for length in 0..whole.len() {
            assert_eq!(parse(&whole[..length]), Err(NoMessage), "{length}");
        }
        let said = parse(&message(1300, b"audit(x:3): y", true))
            .unwrap()
            .unwrap();
        assert_eq!(said.message, "audit(x:3): y");
    }
}
