//! The answer to each call: who may ask, and what is done about it.

use bastide_ipc::log::{self, AnchorReply, Request};
use bastide_ipc::message::{Call, Reply};
use bastide_ipc::standard::{self, Info, StandardError};
use bastide_log_format::key::PublicKey;
use bastide_log_format::record::Stamp;

use crate::callers::Callers;
use crate::disk::Disk;
use crate::jobs::{Export, Job, QueryJob, Verify};
use crate::store::Store;

/// What becomes of a call.
pub enum Answer {
    /// This is the reply.
    Reply(Reply),
    /// The reply, or several, come from a job.
    Job(Job),
}

/// The refusal of a caller that may not.
#[must_use]
pub fn denied() -> Reply {
    StandardError::PermissionDenied.into()
}

fn info() -> Info {
    Info {
        vendor: "Bastide".to_owned(),
        product: "log".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        url: String::new(),
        interfaces: vec![standard::INTERFACE.to_owned(), log::INTERFACE.to_owned()],
    }
}

/// Answers a call of a user.
pub fn answer<Medium: Disk>(
    call: &Call,
    uid: u32,
    callers: &Callers,
    store: &mut Store<Medium>,
    root: Option<PublicKey>,
    stamp: Stamp,
) -> Answer {
    if !callers.knows(uid) {
        return Answer::Reply(denied());
    }
    let not_found = || StandardError::MethodNotFound {
        method: call.method.clone(),
    };
    let Some((interface, method)) = call.split() else {
        return Answer::Reply(not_found().into());
    };
    match interface {
        standard::INTERFACE => Answer::Reply(standard::answer(
            call,
            method,
            &info(),
            &[(log::INTERFACE, log::DESCRIPTION)],
        )),
        log::INTERFACE => match Request::of(call, method) {
            Ok(request) if callers.may(uid, request.method()) => {
                carry_out(request, call.more, store, root, stamp)
            }
            Ok(_) => Answer::Reply(denied()),
            Err(refusal) => Answer::Reply(refusal),
        },
        _ => Answer::Reply(
            StandardError::InterfaceNotFound {
                interface: interface.to_owned(),
            }
            .into(),
        ),
    }
}

fn carry_out<Medium: Disk>(
    request: Request,
    more: bool,
    store: &mut Store<Medium>,
    root: Option<PublicKey>,
    stamp: Stamp,
) -> Answer {
    // A status that cannot be written as JSON is a fault of ours; the caller gets an
    // error rather than silence.
    let broken = |_| Reply::error(standard::INTERFACE, "MethodNotImplemented");
    store.flush(stamp);
    match request {
        Request::Query(query) => Answer::Job(Job::Query(Box::new(QueryJob::new(*query, more)))),
        Request::Verify => {
            let counter = store.counter();
            Answer::Job(Job::Verify(Box::new(Verify::new(store, root, counter))))
        }
        Request::Status => Answer::Reply(Reply::new(&store.status()).unwrap_or_else(broken)),
        Request::Export if more => {
            let counter = store.counter();
            Answer::Job(Job::Export(Box::new(Export::new(store, root, counter))))
        }
        Request::Export => Answer::Reply(Reply::error(standard::INTERFACE, "ExpectedMore")),
        Request::Anchor => {
            store.anchor(stamp);
            let reply = AnchorReply {
                anchor: store.status().anchor,
            };
            Answer::Reply(Reply::new(&reply).unwrap_or_else(broken))
        }
    }
}
