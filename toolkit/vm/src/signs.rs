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
pub const NO_PAGE: &[&str] = &[REFUSED, NOTHING_BOOTS, PANIC, DEGRADED, RECOVERY_PROMPT];

/// The initramfs makes the state, as at a first boot.
pub const PROVISIONING: &str = "bastide: state: provisioning";

/// The recovery key follows, in groups of four joined by `-`.
pub const RECOVERY_KEY: &str = "bastide: state: recovery key ";

/// The TPM gave the key, and the state is open.
pub const OPENED_BY_TPM: &str = "bastide: state: opened by the TPM";

/// The TPM does not give the key; the reason follows, in parentheses.
pub const TPM_REFUSES: &str = "bastide: state: the TPM refuses";

/// The question for the recovery key; the number of the try follows.
pub const RECOVERY_PROMPT: &str = "Recovery key (try ";

/// The recovery key was right, and the state is open.
pub const OPENED_BY_RECOVERY: &str = "bastide: state: opened by the recovery key";

/// The question whether the TPM shall give the key to this machine as it is now.
pub const SEAL_PROMPT: &str = "Seal to this machine again? [y/N]";

/// The TPM will not give the key at the next boot either; the reason follows.
pub const NOT_SEALED: &str = "bastide: state: not sealed";

/// From the next boot on the TPM gives the key again.
pub const SEALED_AGAIN: &str = "bastide: state: sealed again";

/// The start of the refusal to go on without the state.
pub const STATE_REFUSED: &str = "bastide: refused: state";

/// How many wrong recovery keys a boot takes.
pub const RECOVERY_TRIES: u32 = 5;

/// Texts that prove that a state was opened, whoever's it is.
pub const OPENED: &[&str] = &["bastide: state: opened", PAGE];
