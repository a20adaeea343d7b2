//! The boot report: what the initramfs did, for PID 1, the console and benchmarks.

use serde::{Deserialize, Serialize};

/// Version of the report's format.
const VERSION: u32 = 1;

/// Longest report that is read, in bytes.
const LONGEST: usize = 64 * 1024;

/// What the initramfs did. Times are microseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct BootReport {
    /// Version of this format; 1.
    pub version: u32,
    /// The Core that runs.
    pub core: CoreReport,
    /// The encrypted state.
    pub state: Option<StateReport>,
    /// Partitions that claimed to be the Core and were not, in the order tried.
    pub refused: Vec<RefusedCandidate>,
    /// Steps in the order done.
    pub steps: Vec<StepTime>,
    /// What the boot loader measured, if it did.
    pub loader: LoaderTimes,
    /// Why the boot before this one was refused, if it was. Told once: the firmware
    /// variable that held it is gone.
    pub previous_failure: Option<String>,
}

/// The Core that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CoreReport {
    /// Root hash, 64 hexadecimal digits.
    pub root_hash: String,
    /// UUID of its partition.
    pub partition_uuid: String,
    /// Kernel name of its partition, such as `vda2`.
    pub device: String,
    /// Kernel name of the verified device above it, such as `dm-0`.
    pub verified: String,
    /// Blocks that error correction had to repair during boot.
    pub corrected_blocks: u64,
}

/// The encrypted state that was opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct StateReport {
    /// What opened it.
    pub opened_by: OpenedBy,
    /// Kernel name of its partition, such as `vda4`.
    pub device: String,
    /// UUID of its volume.
    pub volume_uuid: String,
    /// How it is encrypted and authenticated, in the words of LUKS2.
    pub cipher: String,
    /// Whether swap is on, encrypted with a key of this boot alone.
    pub swap: bool,
}

/// What opened the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OpenedBy {
    /// The TPM, without a person.
    Tpm,
    /// A person, with the recovery key.
    RecoveryKey,
    /// It was made at this boot.
    Provisioning,
}

/// A partition that claimed to be the Core and was not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RefusedCandidate {
    /// Kernel name, such as `vdb2`.
    pub device: String,
    /// Why it was refused.
    pub reason: String,
}

/// When a step was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct StepTime {
    /// Name of the step.
    pub name: String,
    /// `CLOCK_MONOTONIC` at its end: time since the kernel started its clock.
    pub monotonic: u64,
    /// `CLOCK_BOOTTIME` at its end: the same with time asleep.
    pub boottime: u64,
}

/// What the boot loader measured, counted from when the firmware reset its counter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LoaderTimes {
    /// Start of the boot loader (`LoaderTimeInitUSec`).
    pub init: Option<u64>,
    /// Start of the kernel bundle (`LoaderTimeExecUSec`).
    pub exec: Option<u64>,
}

/// Why a report cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// More bytes than any report has.
    #[error("boot report has {0} bytes, more than {LONGEST}")]
    TooLong(usize),
    /// Not the JSON of a report.
    #[error("boot report is malformed")]
    Json(#[from] serde_json::Error),
    /// Written by another version.
    #[error("boot report has version {0}, not {VERSION}")]
    Version(u32),
}

impl BootReport {
    /// A report about a Core, with nothing else in it yet.
    pub fn new(core: CoreReport) -> Self {
        Self {
            version: VERSION,
            core,
            state: None,
            refused: Vec::new(),
            steps: Vec::new(),
            loader: LoaderTimes::default(),
            previous_failure: None,
        }
    }

    /// Reads a report.
    ///
    /// # Errors
    /// Too long, not the JSON of a report, or another version.
    pub fn from_json(json: &[u8]) -> Result<Self, ReportError> {
        if json.len() > LONGEST {
            return Err(ReportError::TooLong(json.len()));
        }
        let report: Self = serde_json::from_slice(json)?;
        if report.version != VERSION {
            return Err(ReportError::Version(report.version));
        }
        Ok(report)
    }

    /// The report as JSON.
    ///
    /// # Errors
    /// A report longer than a reader accepts.
    pub fn to_json(&self) -> Result<Vec<u8>, ReportError> {
        let json = serde_json::to_vec_pretty(self)?;
        if json.len() > LONGEST {
            return Err(ReportError::TooLong(json.len()));
        }
        Ok(json)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> BootReport {
        let mut report = BootReport::new(CoreReport {
            root_hash: "0e".repeat(32),
            partition_uuid: "0e0e0e0e-0e0e-0e0e-0e0e-0e0e0e0e0e0e".to_owned(),
            device: "vda2".to_owned(),
            verified: "dm-0".to_owned(),
            corrected_blocks: 1,
        });
        report.state = Some(StateReport {
            opened_by: OpenedBy::RecoveryKey,
            device: "vda4".to_owned(),
            volume_uuid: "0e0e0e0e-0e0e-4e0e-8e0e-0e0e0e0e0e0e".to_owned(),
            cipher: "aes-xts-plain64, hmac(sha256)".to_owned(),
            swap: true,
        });
        report.refused.push(RefusedCandidate {
            device: "vdb2".to_owned(),
            reason: "no verity superblock".to_owned(),
        });
        report.steps.push(StepTime {
            name: "core-verified".to_owned(),
            monotonic: 1_500_000,
            boottime: 1_500_000,
        });
        report
    }

    #[test]
    fn a_report_survives_a_round_trip() {
        let json = report().to_json().unwrap();
        assert_eq!(BootReport::from_json(&json).unwrap(), report());
    }

    #[test]
    fn other_reports_are_refused() {
        let json = String::from_utf8(report().to_json().unwrap()).unwrap();
        assert!(matches!(
            BootReport::from_json(json.replace("\"version\": 1", "\"version\": 2").as_bytes()),
            Err(ReportError::Version(2))
        ));
        assert!(matches!(
            BootReport::from_json(json.replace("refused", "denied").as_bytes()),
            Err(ReportError::Json(_))
        ));
        assert!(matches!(
            BootReport::from_json(&vec![b' '; LONGEST + 1]),
            Err(ReportError::TooLong(_))
        ));
    }
}
