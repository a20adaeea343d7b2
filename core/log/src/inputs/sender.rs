//! Who sends: the user that the kernel names, by the name that the image gives it.

use std::collections::BTreeMap;

use anyhow::Result;
use bastide_config::users::User;
use bastide_log_format::entry::{Kind, Source};
use bastide_log_format::name::StreamName;
use bastide_sys::socket::Sender;

use crate::store::OTHERS;

/// The users of the image.
#[derive(Debug)]
pub struct Senders {
    known: BTreeMap<u32, StreamName>,
    others: StreamName,
}

impl Senders {
    /// Reads the table of users.
    ///
    /// # Errors
    /// When a name in it is none of a stream.
    pub fn new() -> Result<Self> {
        let mut known = BTreeMap::new();
        for user in User::all() {
            known.insert(user.uid(), StreamName::new(user.name())?);
        }
        Ok(Self {
            known,
            others: StreamName::new(OTHERS)?,
        })
    }

    /// The stream and source of a message. Users that the image does not name share one
    /// stream: there can be any number of them.
    pub fn of(&self, kind: Kind, sender: Option<&Sender>) -> (StreamName, Source) {
        let uid = sender.map(|sender| sender.uid);
        let stream = uid
            .and_then(|uid| self.known.get(&uid))
            .unwrap_or(&self.others);
        let name = match uid {
            Some(_) if *stream != self.others => stream.to_string(),
            Some(uid) => format!("user-{uid}"),
            None => "unknown".to_owned(),
        };
        let source = Source {
            kind,
            name,
            uid,
            pid: sender.and_then(|sender| sender.pid),
        };
        (stream.clone(), source)
    }
}
