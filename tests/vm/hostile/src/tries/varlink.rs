//! Methods of other services.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bastide_ipc::codec::{Decoder, encode};
use bastide_ipc::message::{Call, Reply};

/// Where the sockets of interfaces lie, each with the interface's name.
const SOCKETS: &str = "/run/bastide";

/// How long a reply may take: a log that is verified is read to its end.
const PATIENCE: Duration = Duration::from_secs(120);

/// The peer answered, and the answer was no.
#[derive(Debug)]
pub struct Denied(String);

impl std::fmt::Display for Denied {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Denied {}

/// A refusal by somebody who answers.
pub fn refused(words: &str) -> Denied {
    Denied(words.to_owned())
}

/// Calls `<interface>.<method>` without parameters and shows the answer.
pub fn call(method: &str) -> Result<()> {
    let (interface, name) = method.rsplit_once('.').context("no interface and method")?;
    let mut stream = UnixStream::connect(format!("{SOCKETS}/{interface}"))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(&encode(&Call::new(interface, name))?)?;
    let mut decoder = Decoder::default();
    let mut bytes = [0; 4096];
    loop {
        if let Some(message) = decoder.next_message()? {
            let reply: Reply = serde_json::from_slice(&message)?;
            println!("answers {}", String::from_utf8_lossy(&message));
            return match reply.error {
                Some(error) => Err(Denied(error).into()),
                None => Ok(()),
            };
        }
        match stream.read(&mut bytes)? {
            0 => bail!(refused("hung up")),
            length => decoder.push(&bytes[..length]),
        }
    }
}
