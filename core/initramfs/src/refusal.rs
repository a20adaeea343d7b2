//! Refusing to boot: say why, keep why, stop.

use std::{fmt, os::fd::OwnedFd, panic, sync::OnceLock, thread::sleep, time::Duration};

use bastide_boot::OnFailure;
use rustix::{
    event::{PollFd, PollFlags, poll},
    fs::{Mode, OFlags, open},
    system::{RebootCommand, reboot},
    termios::{OptionalActions, QueueSelector, tcflush, tcgetattr, tcsetattr},
};

use crate::{console::say, firmware, state::console_names};

/// How long a refusal can be read before the machine goes off.
const READING_TIME: Duration = Duration::from_secs(5);

/// What to do after a refusal, once the signed command line has told.
static ON_FAILURE: OnceLock<OnFailure> = OnceLock::new();

/// Why this machine does not boot, for its user.
#[derive(Debug)]
#[must_use]
pub struct Refusal {
    what: String,
    why: String,
    advice: &'static str,
}

impl Refusal {
    /// `what` is refused because of `why`; `advice` says what a person can do.
    pub fn new(what: &str, why: &str, advice: &'static str) -> Self {
        Self {
            what: what.to_owned(),
            why: why.to_owned(),
            advice,
        }
    }

    /// Something in the signed bundle or the kernel is not as it was built.
    pub fn of_bundle(what: &str, error: &anyhow::Error) -> Self {
        Self::new(
            what,
            &format!("{error:#}"),
            "boot another version or reinstall",
        )
    }

    /// Says the refusal, keeps it in the firmware and stops the machine.
    pub fn carry_out(&self) -> ! {
        say(&self.to_string());
        if let Err(error) = firmware::keep_failure(&self.to_string()) {
            say(&format!("the refusal could not be kept ({error:#})"));
        }
        let command = match ON_FAILURE.get().copied().unwrap_or_default() {
            OnFailure::Wait if wait_for_key() => RebootCommand::Restart,
            OnFailure::Wait | OnFailure::PowerOff => {
                sleep(READING_TIME);
                RebootCommand::PowerOff
            }
        };
        if let Err(error) = reboot(command) {
            say(&format!(
                "the machine cannot be stopped ({error}); switch it off"
            ));
        }
        // PID 1 must not end.
        loop {
            sleep(Duration::from_secs(3600));
        }
    }
}

/// The line that people and tests look for.
impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "refused: {} ({}); {}",
            self.what, self.why, self.advice
        )
    }
}

/// From now on a refusal does what the signed command line says.
pub fn set_on_failure(on_failure: OnFailure) {
    ON_FAILURE.get_or_init(|| on_failure);
}

/// Makes a panic a refusal: PID 1 has nobody to report to, and the kernel's own panic
/// would say less.
pub fn refuse_on_panic() {
    panic::set_hook(Box::new(|panic| {
        let place = panic
            .location()
            .map_or_else(String::new, |place| format!(" at {place}"));
        let payload = panic.payload();
        let why = match payload.downcast_ref::<&str>() {
            Some(text) => text,
            None => payload
                .downcast_ref::<String>()
                .map_or("no reason given", String::as_str),
        };
        Refusal::new(
            "internal error",
            &format!("{why}{place}"),
            "please report this line",
        )
        .carry_out()
    }));
}

/// Waits for a key on any console; false where there is none.
fn wait_for_key() -> bool {
    let consoles: Vec<OwnedFd> = console_names()
        .iter()
        .filter_map(|name| listen(name))
        .collect();
    if consoles.is_empty() {
        return false;
    }
    say("press a key to reboot");
    loop {
        let mut waiting: Vec<PollFd<'_>> = consoles
            .iter()
            .map(|console| PollFd::new(console, PollFlags::IN))
            .collect();
        match poll(&mut waiting, None) {
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return false,
            Ok(_) => {
                let pressed = |one: &PollFd<'_>| one.revents().contains(PollFlags::IN);
                if waiting.iter().any(pressed) {
                    return true;
                }
                // A console that hung up is ready at once, for ever.
                sleep(Duration::from_millis(200));
            }
        }
    }
}

/// Opens a console so that any key counts, and none pressed before.
fn listen(name: &str) -> Option<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let console = open(format!("/dev/{name}"), flags, Mode::empty()).ok()?;
    let mut settings = tcgetattr(&console).ok()?;
    settings.make_raw();
    tcsetattr(&console, OptionalActions::Now, &settings).ok()?;
    tcflush(&console, QueueSelector::IFlush).ok()?;
    Some(console)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_one_line_with_what_why_and_what_to_do() {
        let refusal = Refusal::new("command line", "\"x\" was added", "remove it");
        assert_eq!(
            refusal.to_string(),
            "refused: command line (\"x\" was added); remove it"
        );
    }
}
