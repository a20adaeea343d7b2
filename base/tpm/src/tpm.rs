//! The TPM itself: opening it, one command at a time, no handle left behind.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::fs::OpenOptions;
use std::io;
use std::thread;
use std::time::Duration;

use crate::TpmError;
use crate::code::{Code, ResponseCode};
use crate::command::{Answer, Command};
use crate::transport::{LARGEST_MESSAGE, Stream, Transport};

/// By way of the kernel's resource manager, which swaps objects in and out and removes
/// what a process leaves behind.
const DEVICE: &str = "/dev/tpmrm0";

/// A TPM that is busy is asked again for up to about 10 seconds.
const MOST_TRIES: u32 = 100;
const PAUSE: Duration = Duration::from_millis(100);

/// A TPM 2.0.
pub struct Tpm {
    transport: RefCell<Box<dyn Transport>>,
    left_behind: Cell<u32>,
}

impl Tpm {
    /// Opens the machine's TPM, by way of the kernel's resource manager.
    ///
    /// # Errors
    /// There is none, or it cannot be opened.
    pub fn open() -> Result<Self, TpmError> {
        match OpenOptions::new().read(true).write(true).open(DEVICE) {
            Ok(device) => Ok(Self::over(Stream::new(device))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(TpmError::Absent),
            Err(source) => Err(TpmError::Open {
                path: DEVICE,
                source,
            }),
        }
    }

    /// A TPM that is reached some other way. It must have been started.
    pub fn over(transport: impl Transport + 'static) -> Self {
        Self {
            transport: RefCell::new(Box::new(transport)),
            left_behind: Cell::new(0),
        }
    }

    /// How many objects and sessions could not be removed from the TPM's memory. The
    /// resource manager does so when the device is closed.
    #[must_use]
    pub fn left_behind(&self) -> u32 {
        self.left_behind.get()
    }

    /// Runs a command that needs no authorisation.
    pub(crate) fn run(&self, command: &Command) -> Result<Answer, TpmError> {
        let bytes = command.to_bytes(None);
        command.parse(&self.exchange(command, bytes.as_slice())?, false)
    }

    /// Runs a command whose first entity's authorisation value is empty.
    pub(crate) fn run_with_empty_password(&self, command: &Command) -> Result<Answer, TpmError> {
        let bytes = command.to_bytes(Some(Command::empty_password().as_slice()));
        let answer = command.parse(&self.exchange(command, bytes.as_slice())?, true)?;
        // Nonce, attributes and HMAC of a password session: empty, 1, empty.
        if answer.session != [0, 0, 1, 0, 0] {
            return Err(command.malformed());
        }
        Ok(answer)
    }

    /// Sends the bytes of `command`, again while the TPM says that it is busy.
    pub(crate) fn exchange(&self, command: &Command, bytes: &[u8]) -> Result<Vec<u8>, TpmError> {
        let mut answer = Vec::with_capacity(LARGEST_MESSAGE);
        for _ in 0..MOST_TRIES {
            answer.clear();
            self.transport
                .borrow_mut()
                .exchange(bytes, &mut answer)
                .map_err(|source| TpmError::Transport {
                    command: command.code.name,
                    source,
                })?;
            if !busy(&answer) {
                break;
            }
            thread::sleep(PAUSE);
        }
        Ok(answer)
    }

    /// Removes an object or session from the TPM's memory. For use when dropping.
    pub(crate) fn flush(&self, handle: u32) {
        let mut command = Command::new(Code::FLUSH_CONTEXT, &[]);
        // A parameter by specification (part 3, 28.4), so that no session covers it.
        command.parameters.u32(handle);
        if self.run(&command).is_err() {
            self.left_behind.set(self.left_behind.get() + 1);
        }
    }
}

impl fmt::Debug for Tpm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Tpm")
    }
}

fn busy(answer: &[u8]) -> bool {
    answer
        .get(6..10)
        .and_then(|code| code.try_into().ok())
        .is_some_and(|code| ResponseCode::from_wire(u32::from_be_bytes(code)).transient())
}

/// A transient object, removed from the TPM's memory when dropped.
pub(crate) struct Loaded<'tpm> {
    pub(crate) tpm: &'tpm Tpm,
    pub(crate) handle: u32,
}

impl Drop for Loaded<'_> {
    fn drop(&mut self) {
        self.tpm.flush(self.handle);
    }
}
