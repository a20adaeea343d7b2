//! Ctrl-C and requests to end, while something has to be cleaned up.
//!
//! While a [`Guard`] lives, SIGINT, SIGTERM and SIGHUP only set a flag, which the
//! holder looks at; otherwise they end the process as usual.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

static GUARDS: AtomicUsize = AtomicUsize::new(0);
static FLAGS: OnceLock<Flags> = OnceLock::new();

struct Flags {
    /// Nobody holds a guard.
    idle: Arc<AtomicBool>,
    received: Arc<AtomicBool>,
}

/// Keeps signals from ending the process while it lives.
#[must_use]
pub struct Guard(());

/// Holds the signals back from now on.
pub fn guard() -> Guard {
    let flags = FLAGS.get_or_init(|| {
        let flags = Flags {
            idle: Arc::new(AtomicBool::new(false)),
            received: Arc::new(AtomicBool::new(false)),
        };
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            let registered = signal_hook::flag::register_conditional_shutdown(
                signal,
                128 + signal,
                Arc::clone(&flags.idle),
            )
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&flags.received)));
            if let Err(error) = registered {
                // Then the signal ends the process at once, and the next run sweeps.
                tracing::warn!("signal {signal} will not be handled: {error}");
            }
        }
        flags
    });
    GUARDS.fetch_add(1, Ordering::SeqCst);
    flags.idle.store(false, Ordering::SeqCst);
    Guard(())
}

impl Guard {
    /// Whether a signal has come.
    pub fn interrupted(&self) -> bool {
        received()
    }
}

/// Whether a signal came while any guard lived.
pub fn received() -> bool {
    FLAGS
        .get()
        .is_some_and(|flags| flags.received.load(Ordering::SeqCst))
}

impl Drop for Guard {
    fn drop(&mut self) {
        if GUARDS.fetch_sub(1, Ordering::SeqCst) == 1
            && let Some(flags) = FLAGS.get()
        {
            flags.idle.store(true, Ordering::SeqCst);
        }
    }
}
