//! The event loop: brings events to the supervisor and carries out its actions.
//!
//! One thread, one poll(2). Nothing in here waits for a service, and no message,
//! exit or error of a service ends the loop.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::Path;

use anyhow::{Context, Result};
use bastide_ipc::init::SOCKET;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{WaitOptions, WaitStatus, wait};
use rustix::system::{RebootCommand, reboot};

use crate::answer::{Caller, answer};
use crate::bus::Bus;
use crate::button::PowerButton;
use crate::catalogue;
use crate::clock;
use crate::farewell;
use crate::groups;
use crate::healthy;
use crate::intake::{self, Intake, Sent};
use crate::kernel_log::say;
use crate::kernel_settings;
use crate::launch::{self, Launcher};
use crate::mounts;
use crate::notify::NotifySocket;
use crate::output::{Output, TO_KERNEL, TO_LOG};
use crate::report::Record;
use crate::settings::notify_socket;
use crate::stage;
use crate::supervisor::{Action, Exit, Level, Stop, Supervisor, UnitId};

/// Messages or reads of one source handled before others have their turn.
const TURN: usize = 32;

/// The kernel's messages below this level go to the consoles once the status page
/// is up: errors only, so that the page stays readable.
const CONSOLE_LEVEL: &str = "4";

/// The machine as PID 1 holds it.
struct Machine {
    supervisor: Supervisor,
    record: Record,
    signals: SignalFd,
    notify: BTreeMap<UnitId, NotifySocket>,
    bus: Bus,
    buttons: Vec<PowerButton>,
    outputs: BTreeMap<UnitId, Vec<Output>>,
    launcher: Launcher,
    intake: Intake,
    /// What [`groups::memory_kills`] said when a service ended last.
    memory_kills: BTreeMap<UnitId, u64>,
}

/// What a descriptor is of.
#[derive(Debug, Clone, Copy)]
enum Source {
    Signals,
    Notify(UnitId),
    Listener,
    Connection(u64),
    Button(usize),
    Output(UnitId, usize),
    /// Has room again, or is gone; either is found out by passing lines on.
    Intake,
}

/// Runs the machine until it is stopped. `landlock`: whether services are confined
/// by it.
///
/// # Errors
/// When PID 1 cannot do its work; the caller then gives up in order.
pub fn run(landlock: bool) -> Result<Infallible> {
    let started = clock::now();
    mounts::all()?;
    let mut record = Record::new();
    record.step_at("init-started", started);
    record.step("init-mounted");
    kernel_settings::make();
    groups::prepare()?;
    let services = catalogue::read(Path::new(catalogue::SERVICES))?;
    let supervisor = Supervisor::new(services, intake::SERVICE);
    record.step("services-read");
    let launcher = Launcher::new(supervisor.definitions(), landlock)?;
    record.step("sockets-made");
    let mut machine = Machine {
        signals: take_signals()?,
        notify: notify_sockets(&supervisor)?,
        bus: Bus::bind(Path::new(SOCKET))?,
        buttons: PowerButton::all(),
        outputs: BTreeMap::new(),
        memory_kills: BTreeMap::new(),
        launcher,
        intake: Intake::find(supervisor.definitions()),
        supervisor,
        record,
    };
    say(Level::Notice, "init started");
    if !landlock {
        say(Level::Error, "services run without Landlock");
    }

    let actions = machine.supervisor.begin(clock::now());
    machine.carry_out(actions);
    loop {
        machine.turn()?;
    }
}

/// Makes the sockets on which services say how they are.
fn notify_sockets(supervisor: &Supervisor) -> Result<BTreeMap<UnitId, NotifySocket>> {
    let services = supervisor.ids();
    let services = services.filter_map(|id| Some((id, supervisor.definition(id)?)));
    services
        .map(|(id, service)| {
            let path = notify_socket(&service.name);
            Ok((id, NotifySocket::bind(&path, service.user.uid())?))
        })
        .collect()
}

/// Blocks the signals that matter and makes them readable. Ctrl-Alt-Del becomes one
/// of them, SIGINT, instead of a reboot on the spot.
fn take_signals() -> Result<SignalFd> {
    let mut wanted = SigSet::empty();
    for signal in [
        Signal::SIGCHLD,
        Signal::SIGINT,
        Signal::SIGTERM,
        Signal::SIGPWR,
    ] {
        wanted.add(signal);
    }
    wanted.thread_block().context("cannot block signals")?;
    let signals = SignalFd::with_flags(&wanted, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
        .context("cannot read signals")?;
    if let Err(error) = reboot(RebootCommand::CadOff) {
        say(
            Level::Warning,
            &format!("cannot take Ctrl-Alt-Del over: {error}"),
        );
    }
    Ok(signals)
}

impl Machine {
    /// Waits for something to happen and deals with it.
    fn turn(&mut self) -> Result<()> {
        for source in self.wait()? {
            self.deal_with(source)?;
        }
        let now = clock::now();
        self.bus.end_silent(now);
        let actions = self.supervisor.tick(now);
        self.carry_out(actions);
        self.pass_lines_on();
        Ok(())
    }

    fn wait(&self) -> Result<Vec<Source>> {
        let mut sources = vec![Source::Signals, Source::Listener];
        let listener = self.bus.listener();
        let mut descriptors = vec![
            PollFd::new(&self.signals, PollFlags::IN),
            PollFd::new(&listener, PollFlags::IN),
        ];
        for (id, socket) in &self.notify {
            sources.push(Source::Notify(*id));
            descriptors.push(PollFd::new(socket, PollFlags::IN));
        }
        for (index, button) in self.buttons.iter().enumerate() {
            sources.push(Source::Button(index));
            descriptors.push(PollFd::new(button, PollFlags::IN));
        }
        for (id, outputs) in &self.outputs {
            for (index, output) in outputs.iter().enumerate() {
                if let Some(source) = output.wanted() {
                    sources.push(Source::Output(*id, index));
                    descriptors.push(PollFd::from_borrowed_fd(source, PollFlags::IN));
                }
            }
        }
        let mut outputs = self.outputs.values().flatten();
        if outputs.any(|output| output.next().is_some())
            && let Some(connection) = self.intake.connection()
        {
            sources.push(Source::Intake);
            descriptors.push(PollFd::from_borrowed_fd(connection, PollFlags::OUT));
        }
        for (id, descriptor, flags) in self.bus.waiting() {
            sources.push(Source::Connection(id));
            descriptors.push(PollFd::from_borrowed_fd(descriptor, flags));
        }

        let deadlines = [self.supervisor.next_deadline(), self.bus.next_deadline()];
        let timeout = deadlines
            .into_iter()
            .flatten()
            .min()
            .map(|deadline| clock::span(deadline.since(clock::now())));
        match poll(&mut descriptors, timeout.as_ref()) {
            Ok(_) => {}
            Err(Errno::INTR) => return Ok(Vec::new()),
            Err(error) => return Err(error).context("cannot wait for events"),
        }
        let happened = descriptors
            .iter()
            .zip(sources)
            .filter(|(descriptor, _)| !descriptor.revents().is_empty())
            .map(|(_, source)| source);
        // Backwards, so that removing a button does not change the place of those still to
        // come, and what a service has written comes before its end.
        let mut happened: Vec<Source> = happened.collect();
        happened.reverse();
        Ok(happened)
    }

    fn deal_with(&mut self, source: Source) -> Result<()> {
        match source {
            Source::Signals => self.read_signals()?,
            Source::Notify(id) => self.read_notifications(id)?,
            Source::Listener => {
                let definitions: Vec<_> = self.supervisor.definitions().collect();
                self.bus.accept(clock::now(), |uid| {
                    Caller::new(uid, &definitions).is_known()
                });
            }
            Source::Connection(id) => self.serve(id),
            Source::Button(index) => {
                let pressed = self.buttons.get_mut(index).and_then(PowerButton::pressed);
                match pressed {
                    Some(true) => self.stop(Stop::PowerOff, "power button"),
                    Some(false) => {}
                    None => drop(self.buttons.drain(index..=index)),
                }
            }
            Source::Output(id, index) => self.read_output(id, index),
            Source::Intake => {}
        }
        Ok(())
    }

    fn read_signals(&mut self) -> Result<()> {
        while let Some(signal) = self.signals.read_signal().context("cannot read signals")? {
            let number = i32::try_from(signal.ssi_signo).unwrap_or(0);
            match Signal::try_from(number) {
                Ok(Signal::SIGINT) => self.stop(Stop::Reboot, "Ctrl-Alt-Del"),
                Ok(Signal::SIGPWR | Signal::SIGTERM) => self.stop(Stop::PowerOff, "signal"),
                // Children are looked for below: one signal may stand for several.
                _ => {}
            }
        }
        self.reap();
        Ok(())
    }

    fn reap(&mut self) {
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => {
                    let pid = u32::try_from(pid.as_raw_nonzero().get()).unwrap_or(0);
                    if let Some(exit) = exit_of(status) {
                        let exit = self.look_closer(pid, exit);
                        let actions = self.supervisor.exited(pid, &exit, clock::now());
                        self.carry_out(actions);
                    }
                }
                Err(Errno::INTR) => {}
                Ok(None) | Err(_) => return,
            }
        }
    }

    /// Tells whether a process was killed because there was no memory for its service, and
    /// what kept the stage from executing its program: the log may be what cannot be
    /// started, and whoever reads the status cannot always read the log.
    fn look_closer(&mut self, pid: u32, exit: Exit) -> Exit {
        let Some(id) = self.supervisor.id_of(pid) else {
            return exit;
        };
        let mut outputs = self.outputs.get_mut(&id).into_iter().flatten();
        let output = outputs.find(|output| output.pid() == pid);
        let last = output.and_then(|output| output.reaped(clock::now()));
        self.pass_lines_on();
        if exit == Exit::Status(i32::from(stage::FAILED)) {
            return last.map_or(exit, Exit::NotStarted);
        }
        let kills = groups::memory_kills(self.supervisor.name(id));
        let before = self.memory_kills.insert(id, kills).unwrap_or(0);
        if kills > before && exit == Exit::Signal(Signal::SIGKILL as i32) {
            return Exit::OutOfMemory;
        }
        exit
    }

    fn read_notifications(&mut self, id: UnitId) -> Result<()> {
        for _ in 0..TURN {
            let Some(socket) = self.notify.get(&id) else {
                break;
            };
            let message = socket.receive().context("cannot read notifications")?;
            let Some((sender, notification)) = message else {
                break;
            };
            let service = self.supervisor.definition(id);
            let user = service.map(|service| service.user.uid());
            // The stage has the number of the service too, but not yet its user.
            if self.supervisor.pid(id) != Some(sender.pid) || user != Some(sender.uid) {
                continue;
            }
            let now = clock::now();
            let actions = self.supervisor.notified(sender.pid, &notification, now);
            self.carry_out(actions);
        }
        Ok(())
    }

    fn serve(&mut self, id: u64) {
        let definitions: Vec<_> = self.supervisor.definitions().collect();
        let (supervisor, record) = (&self.supervisor, &self.record);
        let stop = self.bus.serve(id, clock::now(), |uid, call| {
            let caller = Caller::new(uid, &definitions);
            answer(call, caller, supervisor.is_stopping(), || {
                record.status(supervisor)
            })
        });
        if let Some(stop) = stop {
            self.stop(stop, "asked for");
        }
    }

    fn read_output(&mut self, id: UnitId, index: usize) {
        let most = if self.goes_to_log(id) {
            TO_LOG
        } else {
            TO_KERNEL
        };
        let outputs = self.outputs.get_mut(&id);
        if let Some(output) = outputs.and_then(|outputs| outputs.get_mut(index)) {
            output.read(most, clock::now());
        }
        self.pass_lines_on();
    }

    /// Whether lines of a service are for the log now, and not for the kernel's.
    fn goes_to_log(&self, id: UnitId) -> bool {
        // The log's own lines would come back to it for ever.
        self.supervisor.name(id) != intake::SERVICE && self.supervisor.is_ready(intake::SERVICE)
    }

    /// Passes lines on as far as there is room: one of each service, and again.
    fn pass_lines_on(&mut self) {
        let mut outputs = std::mem::take(&mut self.outputs);
        let mut room = true;
        while room {
            room = false;
            for (id, outputs) in &mut outputs {
                let next = outputs.iter_mut().find(|output| output.next().is_some());
                if let Some(output) = next
                    && self.pass_on(*id, output.pid(), output.next().unwrap_or_default())
                {
                    output.passed();
                    room = true;
                }
            }
        }
        outputs.retain(|_, outputs| {
            outputs.retain(|output| !output.is_over());
            !outputs.is_empty()
        });
        self.outputs = outputs;
    }

    /// `false`: there is no room now.
    fn pass_on(&mut self, id: UnitId, pid: u32, line: &str) -> bool {
        let name = self.supervisor.name(id);
        let sent = if self.goes_to_log(id) {
            let service = self.supervisor.definition(id);
            let uid = service.map_or(0, |service| service.user.uid());
            self.intake.send(name, uid, Some(pid), line)
        } else {
            Sent::Nobody
        };
        if sent == Sent::Nobody {
            say(Level::Notice, &format!("{name}: {line}"));
        }
        sent != Sent::NoRoom
    }

    fn stop(&mut self, stop: Stop, why: &str) {
        if !self.supervisor.is_stopping() {
            say(Level::Notice, &format!("{stop}: {why}"));
        }
        let actions = self.supervisor.stop(stop, clock::now());
        self.carry_out(actions);
    }

    fn carry_out(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Launch(id) => {
                    let actions = self.launch(id);
                    self.carry_out(actions);
                }
                Action::Terminate(id, pid) => launch::terminate(self.supervisor.name(id), pid),
                Action::Kill(id, _) => launch::kill(self.supervisor.name(id)),
                Action::CleanUp(id) => {
                    if let Some(service) = self.supervisor.definition(id) {
                        launch::clean_up(service);
                    }
                }
                Action::Say(level, text) => say(level, &text),
                Action::Ready => self.announce_ready(),
                Action::Finish(stop) => farewell::stop(stop),
            }
        }
    }

    fn launch(&mut self, id: UnitId) -> Vec<Action> {
        let Some(service) = self.supervisor.definition(id) else {
            let why = "it has no definition".to_owned();
            return self.supervisor.launch_failed(id, why, clock::now());
        };
        match self.launcher.start(service) {
            Ok(launched) => {
                let output = Output::new(launched.pid, launched.output);
                self.outputs.entry(id).or_default().push(output);
                self.supervisor.launched(id, launched.pid, clock::now())
            }
            Err(error) => {
                let why = format!("{error:#}");
                self.supervisor.launch_failed(id, why, clock::now())
            }
        }
    }

    fn announce_ready(&mut self) {
        for service in self.supervisor.services() {
            if let Some(at) = service.ready_at {
                let at = crate::supervisor::Moment::from_microseconds(at);
                self.record.step_at(&service.name, at);
            }
        }
        self.record.step("ready");
        if let Err(error) = healthy::write_down() {
            say(Level::Warning, &format!("{error:#}"));
        }
        // As loud as an error: whoever waits for it may have a quiet console.
        say(Level::Error, "ready");
        if let Err(error) = kernel_settings::quieten_console(CONSOLE_LEVEL) {
            say(
                Level::Warning,
                &format!("cannot make the console quieter: {error}"),
            );
        }
    }
}

fn exit_of(status: WaitStatus) -> Option<Exit> {
    status
        .exit_status()
        .map(Exit::Status)
        .or_else(|| status.terminating_signal().map(Exit::Signal))
}
