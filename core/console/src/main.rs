//! The trusted status page on a console: what this machine is, how it came to run,
//! and switching it off.
//!
//! Trust boundary: runs as a user of its own without any privilege, owns one
//! terminal, reads the kernel's files and asks PID 1. Keys are hostile bytes; texts
//! from firmware and services are made harmless before they are shown.
//!
//! This never does: read a secret, write to anything but its terminal and PID 1's
//! sockets, or stop the machine without a second key.
#![forbid(unsafe_code)]

mod client;
mod dialogue;
mod draw;
mod facts;
mod keys;
mod notify;
mod page;
mod terminal;
mod text;
mod view;

#[cfg(test)]
mod tests;

use std::env;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use bastide_ipc::init::{MachineState, Method};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::time::Timespec;

use dialogue::{Dialogue, Effect, Stop};
use draw::{Kind, Painter, leave};
use facts::Facts;
use keys::Keys;
use notify::Notifier;
use terminal::Terminal;
use view::Size;

/// How long an escape sequence may take to come whole.
const SEQUENCE: Duration = Duration::from_millis(100);

/// How often the facts are read while services are starting or stopping.
const SOON: Duration = Duration::from_millis(250);

/// How often everything is read, firmware and TPM included.
const ALL: Duration = Duration::from_secs(60);

/// How long a question waits for its answer, and a message stays.
const MESSAGE: Duration = Duration::from_secs(20);

/// What kind of console this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Console {
    /// A screen: drawing is free, and the kernel may draw over us.
    Screen,
    /// A serial line: only what changed is sent.
    Line,
}

impl Console {
    /// How often the facts are read.
    fn pace(self) -> Duration {
        match self {
            Self::Screen => Duration::from_secs(5),
            Self::Line => Duration::from_secs(10),
        }
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let console = match env::args().nth(1).as_deref() {
        Some("--screen") => Console::Screen,
        Some("--line") => Console::Line,
        _ => bail!("usage: console --screen|--line"),
    };
    let signals = take_signals()?;
    let mut notifier = Notifier::new()?;
    let terminal = Terminal::take()?;
    let kind = Kind::of(&env::var("TERM").unwrap_or_default());
    let mut session = Session {
        console,
        size: terminal.size().unwrap_or(Size::USUAL),
        terminal,
        painter: Painter::new(kind),
        facts: Facts::read(),
        dialogue: Dialogue::default(),
        scroll: 0,
    };
    session.show(true)?;
    session.ask_size()?;
    notifier.ready("READY=1\nSTATUS=shows the status page");
    session.converse(&signals, &mut notifier)?;
    session.terminal.write(&leave(kind, session.size))?;
    Ok(())
}

fn take_signals() -> Result<SignalFd> {
    let mut wanted = SigSet::empty();
    wanted.add(Signal::SIGTERM);
    wanted.add(Signal::SIGWINCH);
    wanted.thread_block().context("cannot block signals")?;
    SignalFd::with_flags(&wanted, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
        .context("cannot read signals")
}

struct Session {
    console: Console,
    size: Size,
    terminal: Terminal,
    painter: Painter,
    facts: Facts,
    dialogue: Dialogue,
    scroll: usize,
}

impl Session {
    /// Shows the page and answers keys until told to end.
    fn converse(&mut self, signals: &SignalFd, notifier: &mut Notifier) -> Result<()> {
        let mut keys = Keys::default();
        let mut read_at = Instant::now();
        let mut read_all_at = read_at;
        let mut message_at = read_at;
        loop {
            let next_read = read_at + self.pace();
            let mut until = next_read;
            if keys.is_open() {
                until = until.min(Instant::now() + SEQUENCE);
            }
            if !self.dialogue.message().is_empty() {
                until = until.min(message_at + MESSAGE);
            }
            let (typed, signalled) = self.wait(signals, until)?;

            if signalled && self.take_signal(signals)? {
                notifier.tell("STOPPING=1");
                return Ok(());
            }
            let mut bytes = [0; 256];
            let pressed = if typed {
                let bytes = self.terminal.read(&mut bytes)?;
                let bytes = bytes.context("the terminal is gone")?;
                keys.push(bytes)
            } else if signalled {
                Vec::new()
            } else {
                keys.time_out().into_iter().collect()
            };
            for key in pressed {
                message_at = Instant::now();
                let effect = self.dialogue.key(key);
                self.carry_out(effect)?;
            }
            if !self.dialogue.message().is_empty() && message_at.elapsed() >= MESSAGE {
                self.dialogue.time_out();
                message_at = Instant::now();
                self.show(false)?;
            }
            if Instant::now() >= next_read {
                read_at = Instant::now();
                if read_all_at.elapsed() >= ALL {
                    read_all_at = read_at;
                    self.facts = Facts::read();
                } else {
                    self.facts.renew();
                }
                self.show(self.console == Console::Screen)?;
                notifier.tell("WATCHDOG=1");
            }
        }
    }

    fn pace(&self) -> Duration {
        let settled = self.facts.status.as_ref().is_ok_and(|status| {
            matches!(status.state, MachineState::Ready | MachineState::Degraded)
        });
        if settled { self.console.pace() } else { SOON }
    }

    /// Waits for keys or signals, at most until then.
    fn wait(&self, signals: &SignalFd, until: Instant) -> Result<(bool, bool)> {
        let left = until.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
        let timeout = Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        };
        let input = self.terminal.input();
        let mut descriptors = [
            PollFd::new(&input, PollFlags::IN),
            PollFd::new(signals, PollFlags::IN),
        ];
        match poll(&mut descriptors, Some(&timeout)) {
            Ok(_) => {}
            Err(Errno::INTR) => return Ok((false, false)),
            Err(error) => return Err(error).context("cannot wait for keys"),
        }
        let [input, signals] = descriptors.map(|descriptor| !descriptor.revents().is_empty());
        Ok((input, signals))
    }

    /// `true`: we are to end.
    fn take_signal(&mut self, signals: &SignalFd) -> Result<bool> {
        let mut end = false;
        while let Some(signal) = signals.read_signal().context("cannot read signals")? {
            let number = i32::try_from(signal.ssi_signo).unwrap_or(0);
            if Signal::try_from(number) == Ok(Signal::SIGTERM) {
                end = true;
            } else if let Some(size) = self.terminal.size() {
                self.size = size;
                self.show(true)?;
            }
        }
        Ok(end)
    }

    fn carry_out(&mut self, effect: Effect) -> Result<()> {
        match effect {
            Effect::Update => self.show(false),
            Effect::Refresh => {
                self.facts = Facts::read();
                self.show(true)?;
                self.ask_size()
            }
            Effect::Scroll(lines) => {
                self.scroll = self.scroll.saturating_add_signed(lines);
                self.show(false)
            }
            Effect::ScrollPages(pages) => {
                let page = page::lay_out(&self.facts, self.size.columns);
                let room = isize::try_from(view::body_room(&page, self.size))?;
                self.scroll = self
                    .scroll
                    .saturating_add_signed(pages.saturating_mul(room));
                self.show(false)
            }
            Effect::Size(rows, columns) => {
                let size = Size::new(usize::from(rows), usize::from(columns));
                // Only where nobody else knows: on a screen the kernel does.
                if self.terminal.size().is_none() && size != self.size {
                    self.size = size;
                    self.show(true)?;
                }
                Ok(())
            }
            Effect::Stop(stop) => {
                self.show(false)?;
                let method = match stop {
                    Stop::PowerOff => Method::PowerOff,
                    Stop::Reboot => Method::Reboot,
                };
                let refusal = client::stop(method).err();
                let refusal =
                    refusal.map(|error| text::safe(&format!("{:#}", anyhow::Error::from(error))));
                self.dialogue.stop_answered(refusal.as_deref());
                self.facts.renew();
                self.show(false)
            }
        }
    }

    fn show(&mut self, fully: bool) -> Result<()> {
        let page = page::lay_out(&self.facts, self.size.columns);
        let message = self.dialogue.message();
        let lines = view::compose(&page, message, self.size, &mut self.scroll);
        ensure!(!lines.is_empty(), "nothing to show");
        let bytes = self.painter.paint(&lines, self.size, fully);
        if !bytes.is_empty() {
            self.terminal
                .write(&bytes)
                .context("cannot write to the terminal")?;
        }
        Ok(())
    }

    /// A serial line does not know its terminal's size; the terminal does.
    fn ask_size(&self) -> Result<()> {
        if self.terminal.size().is_none() {
            self.terminal
                .write(self.painter.ask_size())
                .context("cannot write to the terminal")?;
        }
        Ok(())
    }
}
