//! What goes over the TPM's bus, as somebody sees it who taps the wires.
//!
//! QEMU hands swtpm a socket of its own, so nothing can sit between the two; but swtpm
//! at its highest log level writes down every byte it reads and writes, which is the same.

/// Commands and responses in the order in which they went over the bus.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TpmTraffic {
    /// Each command with its response; the last may lack one.
    pub exchanges: Vec<Exchange>,
}

/// A command and what the TPM answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exchange {
    /// The command as it went over the bus (TPM 2.0 Library, part 3).
    pub command: Vec<u8>,
    /// The response.
    pub response: Vec<u8>,
}

/// Whose bytes follow in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Command,
    Response,
    /// The emulator's own control channel, which no real TPM has.
    Control,
}

impl TpmTraffic {
    /// Reads swtpm's log; `None` when there is no traffic in it, or a message is cut.
    ///
    /// ```text
    ///  SWTPM_IO_Read: length 12
    ///  80 01 00 00 00 0C 00 00 01 7B 00 10
    ///  SWTPM_IO_Write: length 28
    /// ```
    pub fn parse(log: &str) -> Option<Self> {
        let mut traffic = Self::default();
        let mut direction = Direction::Control;
        let mut expected = 0;
        let mut bytes = Vec::new();
        for line in log.lines().map(str::trim) {
            if let Some((title, length)) = line.split_once(": length ") {
                traffic.finish(direction, expected, &mut bytes)?;
                direction = match title {
                    "SWTPM_IO_Read" => Direction::Command,
                    "SWTPM_IO_Write" => Direction::Response,
                    _ => Direction::Control,
                };
                expected = length.trim().parse().ok()?;
            } else if let Some(more) = hexadecimal(line) {
                bytes.extend(more);
            }
        }
        // The log may be read while the emulator writes: its last message may be cut.
        if bytes.len() == expected {
            traffic.finish(direction, expected, &mut bytes)?;
        }
        (!traffic.exchanges.is_empty()).then_some(traffic)
    }

    fn finish(&mut self, direction: Direction, expected: usize, bytes: &mut Vec<u8>) -> Option<()> {
        let message = std::mem::take(bytes);
        match direction {
            Direction::Control => return Some(()),
            _ if message.len() != expected => return None,
            Direction::Command => self.exchanges.push(Exchange {
                command: message,
                response: Vec::new(),
            }),
            Direction::Response => self.exchanges.last_mut()?.response = message,
        }
        Some(())
    }

    /// Whether these very bytes lie in one of the messages.
    pub fn holds(&self, secret: &[u8]) -> bool {
        let within = |message: &[u8]| {
            !secret.is_empty() && message.windows(secret.len()).any(|window| window == secret)
        };
        self.exchanges
            .iter()
            .any(|exchange| within(&exchange.command) || within(&exchange.response))
    }
}

/// A line of nothing but bytes in hexadecimal.
fn hexadecimal(line: &str) -> Option<Vec<u8>> {
    line.split_whitespace()
        .map(|byte| {
            let two_digits = byte.len() == 2 && byte.bytes().all(|digit| digit.is_ascii_hexdigit());
            two_digits.then(|| u8::from_str_radix(byte, 16).ok())?
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = " Ctrl Cmd: length 5\n 00 00 00 05 00 \n Ctrl Rsp: length 4\n 00 00 00 00 \n \
        SWTPM_IO_Read: length 12\n 80 01 00 00 00 0C 00 00 01 7B 00 10 \n \
        SWTPM_IO_Write: length 18\n 80 01 00 00 00 1C 00 00 00 00 00 10 47 BF 5D 75 \n 3C B8 \n";

    #[test]
    fn messages_come_out_whole() {
        let traffic = TpmTraffic::parse(LOG).expect("traffic");
        assert_eq!(traffic.exchanges.len(), 1);
        assert_eq!(traffic.exchanges[0].command.len(), 12);
        assert!(traffic.holds(&[0x5d, 0x75, 0x3c, 0xb8]));
        // Not across messages, not the control channel, not nothing.
        assert!(!traffic.holds(&[0x00, 0x10, 0x80, 0x01]));
        assert!(!traffic.holds(&[0x00, 0x00, 0x00, 0x05]));
        assert!(!traffic.holds(&[]));
    }

    #[test]
    fn a_log_without_traffic_or_with_cut_messages_is_none() {
        assert_eq!(TpmTraffic::parse(""), None);
        assert_eq!(
            TpmTraffic::parse("Data client disconnected\n 00 00\n"),
            None
        );
        let cut = LOG.replace(" 80 01 00 00 00 0C", "");
        assert_eq!(TpmTraffic::parse(&cut), None);
        // Only the last message may still be growing.
        let growing = LOG.strip_suffix(" 3C B8 \n").expect("the end");
        let traffic = TpmTraffic::parse(growing).expect("traffic");
        assert!(traffic.exchanges[0].response.is_empty());
    }
}
