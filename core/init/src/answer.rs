//! The answer to each Varlink call: who may ask, and what is said. No I/O.

use bastide_config::service::Service;
use bastide_ipc::init::{self, Method, Status};
use bastide_ipc::message::{Call, Reply};
use bastide_ipc::standard::{self, Info, StandardError};

use crate::supervisor::Stop;

/// An answer, and what it sets going once it has been sent.
#[derive(Debug, PartialEq)]
pub struct Answer {
    /// The reply.
    pub reply: Reply,
    /// How the machine is to stop, if it is.
    pub stop: Option<Stop>,
}

impl From<Reply> for Answer {
    fn from(reply: Reply) -> Self {
        Self { reply, stop: None }
    }
}

/// Who calls: the user that the kernel names for the other end of the socket, and
/// the services that run as it.
#[derive(Debug, Clone, Copy)]
pub struct Caller<'definitions> {
    uid: u32,
    definitions: &'definitions [&'definitions Service],
}

impl<'definitions> Caller<'definitions> {
    /// A caller among the services there are.
    #[must_use]
    pub fn new(uid: u32, definitions: &'definitions [&'definitions Service]) -> Self {
        Self { uid, definitions }
    }

    /// Whether the caller may call anything at all here.
    #[must_use]
    pub fn is_known(&self) -> bool {
        Method::ALL.into_iter().any(|method| self.may(method))
    }

    fn may(&self, method: Method) -> bool {
        self.definitions.iter().any(|service| {
            service.user.uid() == self.uid && service.may_call(init::INTERFACE, method.as_str())
        })
    }
}

/// What PID 1 says about itself.
#[must_use]
pub fn info() -> Info {
    Info {
        vendor: "Bastide".to_owned(),
        product: "init".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        url: String::new(),
        interfaces: vec![standard::INTERFACE.to_owned(), init::INTERFACE.to_owned()],
    }
}

/// The refusal of a caller that may not.
#[must_use]
pub fn denied() -> Reply {
    StandardError::PermissionDenied.into()
}

/// Answers a message; `status` is only asked when the caller may know.
#[must_use]
pub fn answer(
    call: &Call,
    caller: Caller<'_>,
    stopping: bool,
    status: impl FnOnce() -> Status,
) -> Answer {
    if !caller.is_known() {
        return denied().into();
    }
    let Some((interface, method)) = call.split() else {
        return method_not_found(call);
    };
    match interface {
        standard::INTERFACE => standard::answer(
            call,
            method,
            &info(),
            &[(init::INTERFACE, init::DESCRIPTION)],
        )
        .into(),
        init::INTERFACE => match Method::of(call, method) {
            Ok(method) if caller.may(method) => carry_out(method, stopping, status),
            Ok(_) => denied().into(),
            Err(refusal) => refusal.into(),
        },
        _ => Reply::from(StandardError::InterfaceNotFound {
            interface: interface.to_owned(),
        })
        .into(),
    }
}

fn carry_out(method: Method, stopping: bool, status: impl FnOnce() -> Status) -> Answer {
    let stop = match method {
        Method::GetStatus => {
            // A status that cannot be written as JSON is a fault of ours; the caller
            // gets an error rather than silence.
            let reply = Reply::new(&status())
                .unwrap_or_else(|_| Reply::error(standard::INTERFACE, "MethodNotImplemented"));
            return reply.into();
        }
        Method::PowerOff => Stop::PowerOff,
        Method::Reboot => Stop::Reboot,
    };
    if stopping {
        return init::stopping().into();
    }
    Answer {
        reply: Reply::empty(),
        stop: Some(stop),
    }
}

fn method_not_found(call: &Call) -> Answer {
    Reply::from(StandardError::MethodNotFound {
        method: call.method.clone(),
    })
    .into()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use bastide_config::name::ServiceName;
    use bastide_ipc::init::{LoaderTimes, MachineState};

    use super::*;

    fn service(name: &str, calls: &str) -> Service {
        let text = format!(
            "version = 1\ndescription = \"x\"\nprogram = \"/usr/lib/bastide/x\"\nuser = \"{name}\"\nreadiness = \"notify\"\nsystem-calls = [{{ allow = [\"@base\"], why = \"runs and does nothing else\" }}]\n{calls}"
        );
        let name = ServiceName::new(name).expect("a name");
        Service::parse(name, Path::new("x"), &text).unwrap_or_else(|problems| panic!("{problems}"))
    }

    fn status() -> Status {
        Status {
            state: MachineState::Ready,
            ready_at: None,
            services: Vec::new(),
            init_usage: None,
            memory: None,
            steps: Vec::new(),
            loader: LoaderTimes::default(),
            core: None,
            core_unavailable: None,
            volume: None,
            refused: Vec::new(),
            previous_failure: None,
        }
    }

    fn ask(uid: u32, text: &str, stopping: bool) -> Answer {
        let reader = service(
            "console-serial",
            "calls = [{ interface = \"org.bastide.Init\", methods = [\"GetStatus\", \"PowerOff\"], why = \"shows and stops\" }]",
        );
        let other = service("console-screen", "");
        let definitions = [&reader, &other];
        let call = Call::parse(text.as_bytes()).expect("a call");
        answer(&call, Caller::new(uid, &definitions), stopping, status)
    }

    fn error(answer: &Answer) -> &str {
        assert_eq!(answer.stop, None);
        answer.reply.error.as_deref().unwrap_or_default()
    }

    const GET: &str = r#"{"method":"org.bastide.Init.GetStatus"}"#;
    const OFF: &str = r#"{"method":"org.bastide.Init.PowerOff","parameters":{}}"#;
    const REBOOT: &str = r#"{"method":"org.bastide.Init.Reboot"}"#;
    const INFO: &str = r#"{"method":"org.varlink.service.GetInfo"}"#;
    const DENIED: &str = "org.varlink.service.PermissionDenied";

    #[test]
    fn a_service_may_call_what_its_definition_lists() {
        let answer = ask(501, GET, false);
        assert_eq!(answer.reply.error, None);
        assert_eq!(answer.reply.parameters["state"], "ready");
        assert_eq!(ask(501, OFF, false).stop, Some(Stop::PowerOff));
        assert_eq!(
            ask(501, INFO, false).reply.parameters["interfaces"][1],
            "org.bastide.Init"
        );
    }

    #[test]
    fn nobody_else_may_call_anything() {
        assert_eq!(error(&ask(501, REBOOT, false)), DENIED);
        for uid in [0, 1, 502, 1000, u32::MAX] {
            for call in [GET, OFF, REBOOT, INFO, r#"{"method":"x.y.Z"}"#] {
                assert_eq!(error(&ask(uid, call, false)), DENIED, "{uid} {call}");
            }
        }
    }

    #[test]
    fn what_does_not_exist_is_named() {
        for (call, name) in [
            (
                r#"{"method":"org.bastide.Init.Halt"}"#,
                "org.varlink.service.MethodNotFound",
            ),
            (
                r#"{"method":"org.bastide.Log.Read"}"#,
                "org.varlink.service.InterfaceNotFound",
            ),
            (
                r#"{"method":"org.bastide.Init.PowerOff","parameters":{"now":true}}"#,
                "org.varlink.service.InvalidParameter",
            ),
            (
                r#"{"method":"org.varlink.service.Nothing"}"#,
                "org.varlink.service.MethodNotFound",
            ),
        ] {
            assert_eq!(error(&ask(501, call, false)), name, "{call}");
        }
    }

    #[test]
    fn a_machine_stops_once() {
        assert_eq!(error(&ask(501, OFF, true)), "org.bastide.Init.Stopping");
    }
}
