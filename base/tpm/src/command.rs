//! Commands and answers as bytes (part 1, 18).

use bastide_tpm_policy::Name;
use zeroize::Zeroizing;

use crate::TpmError;
use crate::code::{Code, ResponseCode};
use crate::wire::{Reader, Writer};

const NO_SESSIONS: u16 = 0x8001;
const SESSIONS: u16 = 0x8002;

/// `TPM_RS_PW`: a plain password, of which we use the empty one only.
const PASSWORD: u32 = 0x4000_0009;

/// What a command works on: its handle, and the name that a session's HMAC covers.
#[derive(Clone, Copy, Debug)]
pub struct Entity {
    pub(crate) handle: u32,
    name: Option<Name>,
}

impl Entity {
    /// A PCR, hierarchy or session, whose name is its handle.
    pub(crate) const fn by_handle(handle: u32) -> Self {
        Self { handle, name: None }
    }

    /// An object or NV index.
    pub(crate) const fn named(handle: u32, name: Name) -> Self {
        Self {
            handle,
            name: Some(name),
        }
    }
}

/// A command without its authorisation.
pub struct Command {
    pub(crate) code: Code,
    entities: Vec<Entity>,
    pub(crate) parameters: Writer,
    returns_handle: bool,
}

impl Command {
    pub(crate) fn new(code: Code, entities: &[Entity]) -> Self {
        Self {
            code,
            entities: entities.to_vec(),
            parameters: Writer::new(),
            returns_handle: false,
        }
    }

    /// The answer begins with a handle.
    pub(crate) fn returning_handle(mut self) -> Self {
        self.returns_handle = true;
        self
    }

    /// The names of what it works on, one after the other.
    pub(crate) fn names(&self) -> Vec<u8> {
        let mut names = Vec::new();
        for entity in &self.entities {
            match &entity.name {
                Some(name) => names.extend_from_slice(name.as_bytes()),
                None => names.extend_from_slice(&entity.handle.to_be_bytes()),
            }
        }
        names
    }

    /// The whole command; `authorization` is one session's area.
    pub(crate) fn to_bytes(&self, authorization: Option<&[u8]>) -> Writer {
        let mut body = Writer::new();
        for entity in &self.entities {
            body.u32(entity.handle);
        }
        if let Some(area) = authorization {
            body.u32(length(area)).bytes(area);
        }
        body.bytes(self.parameters.as_slice());
        let mut whole = Writer::new();
        whole
            .u16(if authorization.is_some() {
                SESSIONS
            } else {
                NO_SESSIONS
            })
            .u32(length(body.as_slice()) + 10)
            .u32(self.code.number)
            .bytes(body.as_slice());
        whole
    }

    /// The area of an empty password.
    pub(crate) fn empty_password() -> Writer {
        let mut area = Writer::new();
        area.u32(PASSWORD).sized(&[]).byte(1).sized(&[]);
        area
    }

    /// Takes an answer apart.
    pub(crate) fn parse(&self, answer: &[u8], with_session: bool) -> Result<Answer, TpmError> {
        let malformed = || self.malformed();
        let mut reader = Reader::new(answer);
        let tag = reader.u16().ok_or_else(malformed)?;
        let size = reader.u32().ok_or_else(malformed)?;
        if usize::try_from(size) != Ok(answer.len()) {
            return Err(malformed());
        }
        let code = reader.u32().ok_or_else(malformed)?;
        if code != ResponseCode::SUCCESS {
            return Err(TpmError::Refused {
                command: self.code.name,
                code: ResponseCode::from_wire(code),
            });
        }
        let expected = if with_session { SESSIONS } else { NO_SESSIONS };
        if tag != expected {
            return Err(malformed());
        }
        let handle = match self.returns_handle {
            true => Some(reader.u32().ok_or_else(malformed)?),
            false => None,
        };
        let parameters = if with_session {
            let size = reader.u32().ok_or_else(malformed)?;
            let size = usize::try_from(size).map_err(|_| malformed())?;
            reader.bytes(size).ok_or_else(malformed)?
        } else {
            reader.rest()
        };
        Ok(Answer {
            command: self.code.name,
            handle,
            parameters: Zeroizing::new(parameters.to_vec()),
            session: reader.rest().to_vec(),
        })
    }

    pub(crate) fn malformed(&self) -> TpmError {
        TpmError::Malformed {
            command: self.code.name,
        }
    }
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).expect("no command is that long")
}

/// An answer of success.
pub struct Answer {
    command: &'static str,
    handle: Option<u32>,
    /// Without handle and session. Wiped when dropped.
    pub(crate) parameters: Zeroizing<Vec<u8>>,
    /// The session's area, not looked at yet.
    pub(crate) session: Vec<u8>,
}

impl Answer {
    pub(crate) fn handle(&self) -> Result<u32, TpmError> {
        self.handle.ok_or_else(|| self.malformed())
    }

    /// Reads the parameters with a function that gives `None` when they make no sense.
    pub(crate) fn read<T>(
        &self,
        read: impl FnOnce(&mut Reader<'_>) -> Option<T>,
    ) -> Result<T, TpmError> {
        let mut reader = Reader::new(&self.parameters);
        let value = read(&mut reader).ok_or_else(|| self.malformed())?;
        if reader.is_empty() {
            Ok(value)
        } else {
            Err(self.malformed())
        }
    }

    fn malformed(&self) -> TpmError {
        TpmError::Malformed {
            command: self.command,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flush() -> Command {
        Command::new(Code::FLUSH_CONTEXT, &[])
    }

    #[test]
    fn a_command_is_as_part_3_shows_it() {
        let mut command = Command::new(Code::PCR_EVENT, &[Entity::by_handle(11)]);
        command.parameters.sized(b"a");
        let area = Command::empty_password();
        assert_eq!(
            command.to_bytes(Some(area.as_slice())).as_slice(),
            [
                0x80, 0x02, 0, 0, 0, 30, 0, 0, 0x01, 0x3c, 0, 0, 0, 11, 0, 0, 0, 9, 0x40, 0, 0, 9,
                0, 0, 1, 0, 0, 0, 1, b'a'
            ]
        );
    }

    #[test]
    fn answers_that_make_no_sense_are_refused() {
        let good = [0x80, 1, 0, 0, 0, 10, 0, 0, 0, 0];
        assert!(flush().parse(&good, false).is_ok());
        assert!(flush().parse(&good, true).is_err(), "no session");
        for end in 0..good.len() {
            assert!(flush().parse(&good[..end], false).is_err());
        }
        let handle = flush().returning_handle();
        assert!(handle.parse(&good, false).is_err(), "no handle");
        let session = [0x80, 2, 0, 0, 0, 14, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff];
        assert!(flush().parse(&session, true).is_err(), "parameter size");
    }

    #[test]
    fn refusals_carry_the_reason() {
        let answer = [0x80, 1, 0, 0, 0, 10, 0, 0, 0x01, 0x8b];
        let Err(error) = flush().parse(&answer, true) else {
            panic!("refused");
        };
        assert_eq!(error.reason(), Some(ResponseCode::HANDLE));
    }
}
