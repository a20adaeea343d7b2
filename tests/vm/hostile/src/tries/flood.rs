//! The log: too much, and in another's name.

use std::io::{self, Write};
use std::os::unix::net::UnixDatagram;
use std::time::Instant;

use anyhow::Result;

/// How many lines a flood has, and how long each is.
const LINES: usize = 60_000;

/// Where syslog(3) writes.
const SYSLOG: &str = "/dev/log";

/// Where the journal's native protocol goes.
const JOURNAL: &str = "/run/systemd/journal/socket";

/// Writes line after line. That it can be written is no harm; what the log makes of it
/// is the question.
pub fn standard_output() -> Result<()> {
    let started = Instant::now();
    let mut output = io::stderr().lock();
    for number in 0..LINES {
        writeln!(output, "flood {number} {}", "x".repeat(100))?;
    }
    let seconds = started.elapsed().as_secs_f64();
    println!("{LINES} lines in {seconds:.2} s");
    Ok(())
}

/// Says something in the name of PID 1 and of the kernel, as both protocols let a sender
/// claim. What the log makes of it is the question.
pub fn forge() -> Result<()> {
    let socket = UnixDatagram::unbound()?;
    socket.send_to(b"<4>init[1]: forged by a service", SYSLOG)?;
    let fields = "MESSAGE=forged by a service\nPRIORITY=4\nSYSLOG_IDENTIFIER=kernel\n_UID=0\n_PID=1\n\
                  _TRANSPORT=kernel\n";
    socket.send_to(fields.as_bytes(), JOURNAL)?;
    Ok(())
}
