//! Which accelerator QEMU gets.

use std::{fs, io};

/// What the person asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AcceleratorChoice {
    /// KVM where it works, else TCG.
    #[default]
    Auto,
    /// KVM or an error.
    Kvm,
    /// TCG, whatever the machine could do.
    Tcg,
}

/// What QEMU runs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accelerator {
    /// Hardware virtualisation.
    Kvm,
    /// Translation; always works.
    Tcg,
}

/// Why KVM was asked for and cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum AcceleratorError {
    /// The processor shows neither `vmx` nor `svm`.
    #[error(
        "KVM cannot run guests here: /proc/cpuinfo shows neither vmx nor svm (/dev/kvm alone is no proof); use --accel tcg"
    )]
    NoProcessorSupport,
    /// The device does not open.
    #[error("/dev/kvm does not open; load the kvm module and join group kvm, or use --accel tcg")]
    NoDevice(#[source] io::Error),
}

/// Chooses the accelerator from what the person wants and this machine shows.
pub fn choose_accelerator(choice: AcceleratorChoice) -> Result<Accelerator, AcceleratorError> {
    let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let device = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/kvm")
        .map(drop);
    decide(choice, &processors, device)
}

/// A `/dev/kvm` that opens without `vmx` or `svm` in sight hangs stock guests,
/// so the processor's flags are asked first.
fn decide(
    choice: AcceleratorChoice,
    processors: &str,
    device: io::Result<()>,
) -> Result<Accelerator, AcceleratorError> {
    if choice == AcceleratorChoice::Tcg {
        return Ok(Accelerator::Tcg);
    }
    let supported = processors
        .lines()
        .filter(|line| line.starts_with("flags"))
        .any(|line| {
            line.split_whitespace()
                .any(|flag| flag == "vmx" || flag == "svm")
        });
    let usable = if supported {
        device.map_err(AcceleratorError::NoDevice)
    } else {
        Err(AcceleratorError::NoProcessorSupport)
    };
    match (choice, usable) {
        (_, Ok(())) => Ok(Accelerator::Kvm),
        (AcceleratorChoice::Kvm, Err(error)) => Err(error),
        (_, Err(_)) => Ok(Accelerator::Tcg),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WITH: &str = "flags\t\t: fpu vme svm sse\n";
    const WITHOUT: &str = "flags\t\t: fpu vme sse\nvmx flags\t: vnmi\n";

    fn refused() -> io::Result<()> {
        Err(io::Error::from(io::ErrorKind::PermissionDenied))
    }

    #[test]
    fn an_openable_device_without_processor_flags_is_not_used() {
        let decided = decide(AcceleratorChoice::Auto, WITHOUT, Ok(()));
        assert_eq!(decided.unwrap(), Accelerator::Tcg);
    }

    #[test]
    fn flags_and_device_give_kvm() {
        assert_eq!(
            decide(AcceleratorChoice::Auto, WITH, Ok(())).unwrap(),
            Accelerator::Kvm
        );
        assert_eq!(
            decide(AcceleratorChoice::Tcg, WITH, Ok(())).unwrap(),
            Accelerator::Tcg
        );
        assert_eq!(
            decide(AcceleratorChoice::Auto, WITH, refused()).unwrap(),
            Accelerator::Tcg
        );
    }

    #[test]
    fn asking_for_kvm_that_cannot_be_had_is_an_error() {
        let decided = decide(AcceleratorChoice::Kvm, WITHOUT, Ok(()));
        assert!(matches!(decided, Err(AcceleratorError::NoProcessorSupport)));
        let decided = decide(AcceleratorChoice::Kvm, WITH, refused());
        assert!(matches!(decided, Err(AcceleratorError::NoDevice(_))));
    }
}
