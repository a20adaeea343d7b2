//! Calls to PID 1. Each is bounded in time and size, and tells why it failed.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use bastide_ipc::codec::{Decoder, FrameError, encode};
use bastide_ipc::init::{Method, SOCKET, Status};
use bastide_ipc::message::{MessageError, Reply};
use serde::de::{DeserializeOwned, IgnoredAny};

/// How long PID 1 may take: it answers at once or not at all.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The socket cannot be reached, or is silent for too long.
    #[error("PID 1 does not answer")]
    Transport(#[from] std::io::Error),
    /// The connection ended before the reply.
    #[error("PID 1 hung up")]
    HungUp,
    /// What came is no message.
    #[error("the reply of PID 1 is not understood")]
    Frame(#[from] FrameError),
    /// It is one, but not the reply.
    #[error("the reply of PID 1 is not understood")]
    Message(#[source] MessageError),
    /// PID 1 refused.
    #[error("PID 1 refuses: {0}")]
    Refused(String),
}

/// Everything there is to show of the Core.
pub fn status() -> Result<Status, CallError> {
    call(Path::new(SOCKET), Method::GetStatus)
}

/// Asks for the machine to be stopped.
pub fn stop(method: Method) -> Result<(), CallError> {
    call::<IgnoredAny>(Path::new(SOCKET), method).map(|_| ())
}

fn call<Content: DeserializeOwned>(socket: &Path, method: Method) -> Result<Content, CallError> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(&encode(&method.call())?)?;
    let until = Instant::now() + PATIENCE;
    let mut decoder = Decoder::default();
    let mut bytes = [0; 4096];
    loop {
        if let Some(message) = decoder.next_message()? {
            return Reply::parse(&message).map_err(|error| match error {
                MessageError::Refused(name) => CallError::Refused(name),
                other => CallError::Message(other),
            });
        }
        let left = until.saturating_duration_since(Instant::now());
        // A time-out of zero would mean to wait for ever.
        stream.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
        match stream.read(&mut bytes)? {
            0 => return Err(CallError::HungUp),
            count => decoder.push(bytes.get(..count).unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::thread;

    use super::*;

    fn answer_with(reply: &'static [u8]) -> Result<Status, CallError> {
        let path = std::env::temp_dir().join(format!(
            "bastide-console-{}-{}",
            std::process::id(),
            reply.len()
        ));
        let listener = UnixListener::bind(&path).expect("bound");
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a caller");
            let mut call = [0; 256];
            let count = stream.read(&mut call).expect("a call");
            assert!(call[..count].ends_with(b"GetStatus\"}\0"));
            stream.write_all(reply).expect("answered");
        });
        let result = call(&path, Method::GetStatus);
        server.join().expect("served");
        std::fs::remove_file(&path).expect("removed");
        result
    }

    #[test]
    fn refusals_and_nonsense_are_told_apart() {
        let refused = answer_with(b"{\"error\":\"org.varlink.service.PermissionDenied\"}\0");
        assert!(matches!(refused, Err(CallError::Refused(name)) if name.ends_with("Denied")));
        assert!(matches!(answer_with(b"{}\0"), Err(CallError::Message(_))));
        assert!(matches!(answer_with(b"{\"par"), Err(CallError::HungUp)));
    }

    #[test]
    fn a_missing_socket_is_an_error() {
        let result: Result<Status, _> = call(Path::new("/nowhere"), Method::GetStatus);
        assert!(matches!(result, Err(CallError::Transport(_))));
    }
}
