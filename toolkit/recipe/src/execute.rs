//! Runs one prepared sandbox: its output to the log and the progress bar, its end
//! to the caller.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};

use crate::progress::Task;
use crate::{Error, interrupt, memory};

/// How many last lines a failure shows.
const TAIL: usize = 20;

/// A longer line is cut for display; the log has all of it.
const LONGEST_LINE: usize = 500;

/// How often signals are looked at and the display is brought up to date.
const TICK: Duration = Duration::from_millis(200);

/// How long a command may tidy up.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often the memory in use is measured.
const SAMPLE: Duration = Duration::from_secs(2);

/// How a process ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code, or 128 + signal.
    pub code: i32,
    /// The last lines of its output.
    pub tail: Vec<String>,
    /// The most memory its processes were seen to hold together, in bytes; sampled.
    pub peak_memory: u64,
}

/// How a command is made to end early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// At once: nothing of it outlives its first process, nothing needs tidying.
    AtOnce,
    /// By SIGTERM, with ten seconds for tidying up before it is ended at once.
    Politely,
}

/// Runs a command to its end, with nothing on its standard input, both outputs
/// going to `log` and `task`. A signal to this process kills it.
///
/// # Errors
/// When it does not start, the log cannot be written, or a signal came.
pub fn run(command: &mut Command, stop: Stop, log: &Path, task: &Task) -> Result<Ended, Error> {
    let program = command.get_program().to_owned();
    let helper = |source| Error::Helper {
        path: program.clone().into(),
        source,
    };
    let guard = interrupt::guard();
    let (reader, writer) = std::io::pipe().map_err(helper)?;
    let mut log_file = fs::File::create(log).map_err(Error::file("create", log))?;
    let second = writer.try_clone().map_err(helper)?;
    command
        .stdin(Stdio::null())
        .stdout(writer)
        .stderr(second)
        // Ctrl-C must reach the engine alone, which then ends all in order.
        .process_group(0);
    let mut child = command.spawn().map_err(helper)?;
    // The command holds the writing ends; without this the reader never ends.
    command.stdout(Stdio::null()).stderr(Stdio::null());

    let (sender, receiver) = sync_channel(256);
    let pump = std::thread::spawn(move || pump(reader, &sender));
    let watched = watch(&mut child, &receiver, &mut log_file, log, task, &guard);
    if watched.is_err() {
        end(&mut child, stop);
    }
    // The pump ends with the last writer; a panic there has nothing to add.
    drop(receiver);
    let status = child.wait().map_err(helper)?;
    let watched = watched?;
    drop(pump);
    Ok(Ended {
        code: status
            .code()
            .unwrap_or_else(|| 128 + status.signal().unwrap_or(0)),
        tail: watched.tail.into(),
        peak_memory: watched.peak_memory,
    })
}

/// The command line of a helper with its last argument.
pub(crate) fn helper(words: &[OsString], last: &Path) -> Command {
    let mut words = words.iter();
    let mut command = Command::new(words.next().map_or_else(OsString::new, Clone::clone));
    command.args(words).arg(last).env_clear();
    command
}

fn end(child: &mut Child, stop: Stop) {
    // The whole group: a command's own children may not be bound to its life.
    let group = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX));
    let send = |signal| match killpg(group, signal) {
        Ok(()) | Err(nix::Error::ESRCH) => {}
        Err(error) => tracing::warn!("cannot end process group {group}: {error}"),
    };
    if stop == Stop::Politely {
        send(Signal::SIGTERM);
        let asked = Instant::now();
        while asked.elapsed() < PATIENCE && matches!(child.try_wait(), Ok(None)) {
            std::thread::sleep(TICK);
        }
    }
    send(Signal::SIGKILL);
}

struct Watched {
    tail: VecDeque<String>,
    peak_memory: u64,
}

fn watch(
    child: &mut Child,
    lines: &Receiver<Vec<u8>>,
    log: &mut fs::File,
    log_path: &Path,
    task: &Task,
    guard: &interrupt::Guard,
) -> Result<Watched, Error> {
    let mut watched = Watched {
        tail: VecDeque::with_capacity(TAIL),
        peak_memory: 0,
    };
    let mut sampled = Instant::now();
    let mut ticked = Instant::now();
    let mut ended = false;
    loop {
        match lines.recv_timeout(TICK) {
            Ok(line) => {
                log.write_all(&line)
                    .map_err(Error::file("write", log_path))?;
                let text = String::from_utf8_lossy(&line);
                let text = text.trim_end();
                task.line(text);
                if !text.is_empty() && !text.starts_with("@progress ") {
                    if watched.tail.len() == TAIL {
                        watched.tail.pop_front();
                    }
                    watched
                        .tail
                        .push_back(text.chars().take(LONGEST_LINE).collect());
                }
            }
            Err(RecvTimeoutError::Disconnected) => return Ok(watched),
            // A process outside the sandbox may leave a child with the pipe open.
            Err(RecvTimeoutError::Timeout) if ended => return Ok(watched),
            Err(RecvTimeoutError::Timeout) => {
                ended = matches!(child.try_wait(), Ok(Some(_)));
            }
        }
        if guard.interrupted() {
            return Err(Error::Interrupted);
        }
        if ticked.elapsed() >= TICK {
            ticked = Instant::now();
            task.tick();
        }
        if sampled.elapsed() >= SAMPLE {
            sampled = Instant::now();
            watched.peak_memory = watched.peak_memory.max(memory::of_descendants(child.id()));
        }
    }
}

/// Sends what comes from the pipe line by line, until its end or nobody listens.
fn pump(reader: impl Read, lines: &SyncSender<Vec<u8>>) {
    let mut reader = BufReader::new(reader);
    loop {
        let mut line = Vec::new();
        // A "line" without end, say from /dev/zero, must not fill the memory.
        let count = reader.by_ref().take(1 << 16).read_until(b'\n', &mut line);
        match count {
            Ok(0) | Err(_) => return,
            Ok(_) => {
                if lines.send(line).is_err() {
                    return;
                }
            }
        }
    }
}
