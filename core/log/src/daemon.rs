//! The event loop: one thread, one poll(2). Nothing in here waits for anybody, and no
//! message ends the loop.

use std::path::Path;

use anyhow::{Context, Result};
use bastide_log_format::entry::{Entry, Priority};
use bastide_log_format::key::PublicKey;
use bastide_log_format::name::StreamName;
use bastide_log_format::record::Stamp;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use crate::anchor::Anchor;
use crate::answer::answer;
use crate::bus::Bus;
use crate::callers::Callers;
use crate::clock;
use crate::descriptors::Descriptors;
use crate::disk::Disk;
use crate::inputs::{Inputs, Sink, Way};
use crate::notify::Notifier;
use crate::secret::Secret;
use crate::settings::{SECOND, Settings};
use crate::store::Store;

/// How often PID 1 hears in words how the log does, in microseconds.
const HEADLINE: u64 = 30 * SECOND;

/// Between two looks at what is due while messages keep coming, in microseconds.
const TICK: u64 = SECOND / 10;

/// What the log is started with.
pub struct Start<Medium: Disk> {
    /// What PID 1 passes.
    pub descriptors: Descriptors,
    /// The way to PID 1.
    pub notifier: Notifier,
    /// Where the log lies.
    pub disk: Medium,
    /// Its bounds.
    pub settings: Settings,
    /// The secret that the initramfs left; or why there is none.
    pub secret: Result<Secret>,
    /// The TPM's counter; or why there is none.
    pub anchor: Result<Box<dyn Anchor>>,
    /// Who may ask; or why nobody may.
    pub callers: Result<Callers>,
    /// The user that PID 1 runs as.
    pub master: u32,
}

/// What happened.
#[derive(Debug, Clone, Copy)]
enum Event {
    Signal,
    Way(Way),
    Caller,
    Connection(u64),
}

/// The log as it runs.
pub struct Daemon<Medium: Disk> {
    store: Store<Medium>,
    inputs: Inputs,
    bus: Option<Bus>,
    callers: Callers,
    root: Option<PublicKey>,
    notifier: Notifier,
    signals: SignalFd,
    stamp: Stamp,
    ticked_at: u64,
    told_at: u64,
    lived_at: u64,
    stops: bool,
}

/// Entries go to the store with the time of the turn.
struct Feed<'daemon, Medium: Disk> {
    store: &'daemon mut Store<Medium>,
    stamp: Stamp,
}

impl<Medium: Disk> Sink for Feed<'_, Medium> {
    fn say(&mut self, stream: &StreamName, entry: Entry) {
        self.store.say(stream, entry, self.stamp);
    }

    fn remark(&mut self, priority: Priority, words: String) {
        self.store.remark(priority, words);
    }
}

/// Runs the log until it is told to stop.
///
/// # Errors
/// When it cannot begin.
pub fn run<Medium: Disk>(start: Start<Medium>) -> Result<()> {
    let mut daemon = Daemon::begin(start)?;
    while !daemon.stops {
        daemon.turn()?;
    }
    daemon.finish();
    Ok(())
}

fn take_signals() -> Result<SignalFd> {
    let mut wanted = SigSet::empty();
    wanted.add(Signal::SIGTERM);
    wanted.add(Signal::SIGINT);
    wanted.thread_block().context("cannot block signals")?;
    SignalFd::with_flags(&wanted, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
        .context("cannot read signals")
}

impl<Medium: Disk> Daemon<Medium> {
    /// Goes on with the log on the disk, and says that it is ready.
    ///
    /// # Errors
    /// When it cannot begin.
    pub fn begin(mut start: Start<Medium>) -> Result<Self> {
        let signals = take_signals()?;
        let stamp = clock::now();
        let mut remarks = Vec::new();
        let secret = start
            .secret
            .map_err(|error| {
                remarks.push((
                    Priority::CRITICAL,
                    format!(
                        "this boot's log is not certified, and verifies as nobody's: {error:#}"
                    ),
                ));
            })
            .ok();
        let anchor = start.anchor.map_err(|error| {
            remarks.push((Priority::CRITICAL, format!("no anchors: {error:#}")));
        });
        let callers = start.callers.map_err(|error| {
            remarks.push((Priority::ERROR, format!("nobody may ask: {error:#}")));
        });
        let root = secret.as_ref().map(Secret::root_public);
        let mut store = Store::open(start.disk, start.settings, secret, anchor.ok(), stamp)
            .context("cannot go on with the log")?;
        for (priority, words) in remarks {
            store.remark(priority, words);
        }
        let sequence = store.kernel_sequence();
        let inputs = Inputs::new(&mut start.descriptors, sequence, start.master)?;
        let bus = start.descriptors.bus.take().map(Bus::new).transpose()?;
        start.notifier.insist("READY=1");
        Ok(Self {
            store,
            inputs,
            bus,
            callers: callers.unwrap_or_default(),
            root,
            notifier: start.notifier,
            signals,
            stamp,
            ticked_at: 0,
            told_at: stamp.boottime,
            lived_at: stamp.boottime,
            stops: false,
        })
    }

    /// Waits for something to happen and deals with it.
    ///
    /// # Errors
    /// When there is no waiting any more.
    pub fn turn(&mut self) -> Result<()> {
        let events = self.wait()?;
        self.stamp = clock::now();
        for event in events {
            self.deal_with(event)?;
        }
        self.store.flush(self.stamp);
        let now = self.stamp.boottime;
        if let Some(bus) = &mut self.bus {
            bus.work(now, &self.store);
            bus.end_silent(now);
            self.store.hold(bus.holds_files());
            for id in bus.again() {
                serve(
                    bus,
                    id,
                    &self.callers,
                    &mut self.store,
                    self.root,
                    self.stamp,
                );
            }
        }
        if now >= self.store.next_deadline() && now >= self.ticked_at.saturating_add(TICK) {
            self.ticked_at = now;
            self.store.tick(self.stamp);
        }
        self.tell();
        Ok(())
    }

    fn wait(&self) -> Result<Vec<Event>> {
        let mut events = vec![Event::Signal];
        let mut descriptors = vec![PollFd::new(&self.signals, PollFlags::IN)];
        for (way, descriptor) in self.inputs.waiting() {
            events.push(Event::Way(way));
            descriptors.push(PollFd::from_borrowed_fd(descriptor, PollFlags::IN));
        }
        if let Some(bus) = &self.bus {
            events.push(Event::Caller);
            descriptors.push(PollFd::from_borrowed_fd(bus.listener(), PollFlags::IN));
            for (id, descriptor, flags) in bus.waiting() {
                events.push(Event::Connection(id));
                descriptors.push(PollFd::from_borrowed_fd(descriptor, flags));
            }
        }
        let timeout = clock::span(self.sleep());
        match poll(&mut descriptors, Some(&timeout)) {
            Ok(_) => {}
            Err(Errno::INTR) => return Ok(Vec::new()),
            Err(error) => return Err(error).context("cannot wait for events"),
        }
        let happened = descriptors
            .iter()
            .zip(events)
            .filter(|(descriptor, _)| !descriptor.revents().is_empty())
            .map(|(_, event)| event);
        // Backwards, so that a connection that ends does not change the place of those
        // still to come.
        let mut happened: Vec<Event> = happened.collect();
        happened.reverse();
        Ok(happened)
    }

    /// How long there is nothing to do, in microseconds.
    fn sleep(&self) -> u64 {
        if self.bus.as_ref().is_some_and(Bus::has_work) {
            return 0;
        }
        let now = clock::now().boottime;
        let tick = self
            .store
            .next_deadline()
            .max(self.ticked_at.saturating_add(TICK));
        let alive = self
            .notifier
            .watchdog()
            .map(|span| self.lived_at.saturating_add(span));
        let next = alive.map_or(tick, |alive| alive.min(tick));
        let longest = if self.notifier.waits() {
            TICK
        } else {
            10 * SECOND
        };
        next.saturating_sub(now).min(longest)
    }

    fn deal_with(&mut self, event: Event) -> Result<()> {
        match event {
            Event::Signal => {
                while self
                    .signals
                    .read_signal()
                    .context("cannot read signals")?
                    .is_some()
                {
                    self.stops = true;
                }
            }
            Event::Way(way) => {
                let mut sink = Feed {
                    store: &mut self.store,
                    stamp: self.stamp,
                };
                self.inputs.read(way, &mut sink);
            }
            Event::Caller => {
                if let Some(bus) = &mut self.bus {
                    bus.accept(self.stamp.boottime, |uid| self.callers.knows(uid));
                }
            }
            Event::Connection(id) => {
                if let Some(bus) = &mut self.bus {
                    serve(
                        bus,
                        id,
                        &self.callers,
                        &mut self.store,
                        self.root,
                        self.stamp,
                    );
                }
            }
        }
        Ok(())
    }

    fn tell(&mut self) {
        let now = self.stamp.boottime;
        self.notifier.again();
        if let Some(span) = self.notifier.watchdog()
            && now >= self.lived_at.saturating_add(span)
        {
            self.lived_at = now;
            self.notifier.tell("WATCHDOG=1");
        }
        if now >= self.told_at.saturating_add(HEADLINE) {
            self.told_at = now;
            self.notifier
                .tell(&format!("STATUS={}", self.store.headline()));
        }
    }

    /// Takes what still waits in the sockets, and closes the log.
    pub fn finish(&mut self) {
        self.notifier.insist("STOPPING=1\nSTATUS=closing the log");
        let ways: Vec<Way> = self.inputs.waiting().map(|(way, _)| way).collect();
        self.stamp = clock::now();
        for way in ways.into_iter().rev() {
            let mut sink = Feed {
                store: &mut self.store,
                stamp: self.stamp,
            };
            self.inputs.read(way, &mut sink);
        }
        self.notifier.again();
        self.store.stop(self.stamp);
        self.notifier.again();
    }
}

fn serve<Medium: Disk>(
    bus: &mut Bus,
    id: u64,
    callers: &Callers,
    store: &mut Store<Medium>,
    root: Option<PublicKey>,
    stamp: Stamp,
) {
    bus.serve(id, stamp.boottime, |uid, call| {
        answer(call, uid, callers, store, root, stamp)
    });
}

/// The usual start, in the image.
///
/// # Errors
/// When what PID 1 passes is not as it should be.
pub fn usual(runtime: &Path) -> Result<Start<crate::disk::Folder>> {
    let descriptors = Descriptors::take()?;
    let notifier = Notifier::new()?;
    let secret = Secret::read(&runtime.join(bastide_log_format::seal_file::NAME));
    Ok(Start {
        descriptors,
        notifier,
        disk: crate::disk::Folder(crate::disk::FOLDER.into()),
        settings: Settings::default(),
        anchor: match &secret {
            Ok(secret) => crate::anchor::of_machine(secret.anchor_auth()),
            Err(_) => Err(anyhow::anyhow!("its authorisation is not known")),
        },
        secret,
        callers: Callers::read(Path::new(crate::callers::SERVICES)),
        master: 0,
    })
}
