//! What consoles show, for those who wait for it.

/// The marker of the status page once all services are ready.
pub const PAGE: &str = "[ready]";

/// The start of the status page's last line.
pub const PAGE_KEYS: &str = "Keys: p power off";

/// The status page once a service that was wanted has failed.
pub const DEGRADED: &str = "[degraded]";

/// A login prompt.
pub const LOGIN: &str = " login: ";

/// The start of every refusal by our own software.
pub const REFUSED: &str = "bastide: refused: ";

/// The initramfs is done and hands over.
pub const ENTERING_CORE: &str = "bastide: entering core";

/// The firmware when nothing is left to boot.
pub const NOTHING_BOOTS: &str = "No bootable option or device was found";

/// The kernel has given up.
pub const PANIC: &str = "Kernel panic";

/// Texts that prove that a kernel was started.
pub const KERNEL_RUNS: &[&str] = &["EFI stub: ", "Linux version ", "bastide: "];

/// Texts that say that no page will come.
pub const NO_PAGE: &[&str] = &[REFUSED, NOTHING_BOOTS, PANIC, DEGRADED];
