//! Shows what runs, how far it is, the time taken and expected.
//!
//! On a terminal a bar per task; elsewhere a line at the start, one a minute, and
//! one at the end. All of it goes to standard error.

use std::cell::RefCell;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// How often a task tells that it is alive where there is no terminal.
const REMINDER: Duration = Duration::from_secs(60);

/// Where tasks show themselves.
pub struct Progress {
    bars: Option<MultiProgress>,
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

impl Progress {
    /// Bars if standard error is a terminal, else lines.
    pub fn new() -> Self {
        Self {
            bars: std::io::stderr().is_terminal().then(MultiProgress::new),
        }
    }

    /// Shows a new task.
    pub fn start(&self, name: &str, expected: Option<Duration>) -> Task {
        let bar = self.bars.as_ref().map(|bars| {
            let bar = bars.add(ProgressBar::new(1000));
            bar.set_style(style());
            bar.set_prefix(name.to_owned());
            bar.enable_steady_tick(Duration::from_millis(250));
            bar
        });
        let task = Task {
            name: name.to_owned(),
            expected,
            started: Instant::now(),
            bar,
            state: RefCell::default(),
        };
        if task.bar.is_none() {
            let about = expected.map_or(String::new(), |time| format!(", about {}", span(time)));
            eprintln!("bastide: {name}: started{about}");
        }
        task
    }

    /// Says something that stays on the screen.
    pub fn note(&self, text: &str) {
        match &self.bars {
            // Only fails when the terminal is gone, where nobody would read it.
            Some(bars) => bars.println(format!("bastide: {text}")).unwrap_or_default(),
            None => eprintln!("bastide: {text}"),
        }
    }
}

#[derive(Default)]
struct State {
    fraction: Option<f64>,
    last_line: String,
    reminded: u32,
}

/// One running task.
pub struct Task {
    name: String,
    expected: Option<Duration>,
    started: Instant,
    bar: Option<ProgressBar>,
    state: RefCell<State>,
}

impl Task {
    /// How long the task has run.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Takes a line of the task's output; `@progress <done> <total>` sets how far
    /// it is, anything else is shown.
    pub fn line(&self, line: &str) {
        let mut state = self.state.borrow_mut();
        match progress(line) {
            Some(fraction) => state.fraction = Some(fraction),
            None => state.last_line = line.trim_end().to_owned(),
        }
    }

    /// Says how far the task is.
    pub fn position(&self, done: u64, total: u64) {
        self.state.borrow_mut().fraction = Some(done as f64 / total.max(1) as f64);
    }

    /// Brings the display up to date; to be called a few times a second.
    pub fn tick(&self) {
        let mut state = self.state.borrow_mut();
        let elapsed = self.elapsed();
        let fraction = fraction(state.fraction, elapsed, self.expected);
        let times = times(elapsed, fraction, state.fraction.is_some(), self.expected);
        if let Some(bar) = &self.bar {
            bar.set_position((fraction * 1000.0) as u64);
            bar.set_message(format!("{times}  {}", state.last_line));
        } else if elapsed >= REMINDER * (state.reminded + 1) {
            state.reminded += 1;
            eprintln!("bastide: {}: {times}: {}", self.name, state.last_line);
        }
    }

    /// Ends the task; `outcome` as in "done".
    pub fn finish(self, outcome: &str) {
        let text = format!("{}: {outcome} in {}", self.name, span(self.elapsed()));
        match &self.bar {
            Some(bar) => {
                bar.set_style(
                    ProgressStyle::with_template("bastide: {msg}")
                        .unwrap_or_else(|_| ProgressStyle::default_spinner()),
                );
                bar.finish_with_message(text);
            }
            None => eprintln!("bastide: {text}"),
        }
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{spinner} {prefix:16} [{bar:20}] {wide_msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}

/// How far a task says it is: `@progress <done> <total>`.
fn progress(line: &str) -> Option<f64> {
    let (done, total) = line.strip_prefix("@progress ")?.trim().split_once(' ')?;
    let (done, total) = (done.parse::<f64>().ok()?, total.trim().parse::<f64>().ok()?);
    (total > 0.0 && done >= 0.0).then(|| (done / total).min(1.0))
}

/// How far a task is: what it says, else what the clock says, which never ends it.
fn fraction(said: Option<f64>, elapsed: Duration, expected: Option<Duration>) -> f64 {
    said.unwrap_or_else(|| {
        expected.map_or(0.0, |expected| {
            (elapsed.as_secs_f64() / expected.as_secs_f64().max(0.1)).min(0.99)
        })
    })
}

fn times(elapsed: Duration, fraction: f64, said: bool, expected: Option<Duration>) -> String {
    let mut text = span(elapsed);
    if let Some(expected) = expected {
        text.push_str(&format!(" of about {}", span(expected)));
    }
    if said {
        text.push_str(&format!(", {:.0} %", fraction * 100.0));
    }
    text
}

/// A length of time for people: `0.4 s`, `12 s`, `3 min 05 s`.
pub fn span(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 9.95 {
        format!("{seconds:.1} s")
    } else if seconds < 59.5 {
        format!("{seconds:.0} s")
    } else {
        let whole = seconds.round() as u64;
        format!("{} min {:02} s", whole / 60, whole % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_well() {
        for (milliseconds, text) in [
            (400, "0.4 s"),
            (9_960, "10 s"),
            (59_600, "1 min 00 s"),
            (185_000, "3 min 05 s"),
        ] {
            assert_eq!(span(Duration::from_millis(milliseconds)), text);
        }
    }

    #[test]
    fn only_well_formed_progress_counts() {
        assert_eq!(progress("@progress 1 4"), Some(0.25));
        assert_eq!(progress("@progress 9 4"), Some(1.0));
        for line in ["@progress", "@progress 1", "@progress 1 0", "progress 1 2"] {
            assert_eq!(progress(line), None);
        }
    }

    #[test]
    fn the_clock_alone_never_completes_a_task() {
        let (long, short) = (Duration::from_secs(100), Duration::from_secs(10));
        assert_eq!(fraction(None, long, Some(short)), 0.99);
        assert_eq!(fraction(Some(0.5), long, Some(short)), 0.5);
    }
}
