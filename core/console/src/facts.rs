//! What the page shows, read where it is true. Each item stands by itself: one that
//! cannot be read says why, in its own place.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Error, Result, ensure};
use bastide_config::product_info::{self, ProductInfo};
use bastide_efi::{
    EFIVARFS, Signature, SignatureKind, Variable, VariableName, parse_signature_lists,
};
use bastide_ipc::init::Status;
use rustix::system::{sysinfo, uname};

use crate::client;

/// The largest file read: the signature databases are the largest of all.
const LONGEST: u64 = 256 * 1024 + 4;

/// The registers shown: firmware, its options, boot loader, Secure Boot policy,
/// kernel bundle, its command line.
pub const REGISTERS: [u32; 6] = [0, 2, 4, 7, 11, 12];

/// An item, or why there is none.
pub type Item<T> = Result<T, String>;

/// All items.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The product.
    pub product: Item<ProductInfo>,
    /// What PID 1 says.
    pub status: Item<Status>,
    /// Secure Boot.
    pub secure_boot: Item<SecureBoot>,
    /// SHA-256 of the platform key's certificate.
    pub platform_key: Item<Vec<String>>,
    /// SHA-256 of each certificate that may vouch for what is booted.
    pub allowed_keys: Item<Vec<String>>,
    /// The TPM's version.
    pub tpm: Item<String>,
    /// Register and value, in the order of [`REGISTERS`].
    pub registers: Vec<(u32, Item<String>)>,
    /// The kernel's release.
    pub kernel: Item<String>,
    /// The kernel's lockdown.
    pub lockdown: Item<String>,
    /// The security modules in force.
    pub modules: Item<String>,
    /// Seconds since the start of the kernel.
    pub uptime: Item<u64>,
    /// Load averages over 1, 5 and 15 minutes.
    pub load: Item<String>,
}

/// What firmware says of Secure Boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecureBoot {
    /// Whether it checks signatures.
    pub on: bool,
    /// Whether anyone may enrol keys.
    pub setup_mode: bool,
}

impl Facts {
    /// Reads everything.
    pub fn read() -> Self {
        Self {
            product: item(product()),
            status: status(),
            secure_boot: item(secure_boot()),
            platform_key: item(certificates(VariableName::PLATFORM_KEY)),
            allowed_keys: item(certificates(VariableName::ALLOWED)),
            tpm: item(tpm()),
            registers: REGISTERS
                .into_iter()
                .map(|register| (register, item(value_of(register))))
                .collect(),
            kernel: Ok(uname().release().to_string_lossy().into_owned()),
            lockdown: item(word("/sys/kernel/security/lockdown").and_then(|text| chosen(&text))),
            modules: item(word("/sys/kernel/security/lsm")),
            uptime: uptime(),
            load: load(),
        }
    }

    /// Reads what changes by itself. The rest asks firmware and the TPM, which are
    /// slow and have better to do than to answer every few seconds.
    pub fn renew(&mut self) {
        self.status = status();
        self.uptime = uptime();
        self.load = load();
    }
}

fn status() -> Item<Status> {
    item(client::status().map_err(Error::from))
}

/// Asked of the kernel: /proc shows a service nothing but its own processes.
fn uptime() -> Item<u64> {
    u64::try_from(sysinfo().uptime).map_err(|_| "the uptime is negative".to_owned())
}

fn load() -> Item<String> {
    Ok(averages(sysinfo().loads.map(u64::from)))
}

fn item<T>(result: Result<T>) -> Item<T> {
    result.map_err(|error| format!("{error:#}"))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LONGEST).read_to_end(&mut bytes))
        .with_context(|| format!("cannot read {}", path.display()))?;
    Ok(bytes)
}

/// A file with one line of text.
fn word(path: &str) -> Result<String> {
    let bytes = read(Path::new(path))?;
    let text = String::from_utf8(bytes).with_context(|| format!("{path} is no text"))?;
    Ok(text.trim().to_owned())
}

fn product() -> Result<ProductInfo> {
    let text = word(product_info::PATH)?;
    Ok(ProductInfo::from_json(&text)?)
}

fn variable(name: VariableName) -> Result<Vec<u8>> {
    // The page sees only the variables that it shows, not the folder they are in.
    let path = Path::new(EFIVARFS).join(name.to_string());
    ensure!(
        path.exists(),
        "firmware variables cannot be read, or there are none"
    );
    let file = read(&path)?;
    let variable =
        Variable::parse(&file).with_context(|| format!("firmware variable {}", name.name))?;
    Ok(variable.data.to_vec())
}

fn flag(name: VariableName) -> Result<bool> {
    match variable(name)?.as_slice() {
        [0] => Ok(false),
        [1] => Ok(true),
        _ => Err(Error::msg(format!(
            "firmware variable {} is neither 0 nor 1",
            name.name
        ))),
    }
}

fn secure_boot() -> Result<SecureBoot> {
    Ok(SecureBoot {
        on: flag(VariableName::SECURE_BOOT)?,
        setup_mode: flag(VariableName::SETUP_MODE)?,
    })
}

fn certificates(name: VariableName) -> Result<Vec<String>> {
    let data = variable(name)?;
    let signatures =
        parse_signature_lists(&data).with_context(|| format!("firmware variable {}", name.name))?;
    Ok(signatures.iter().map(describe).collect())
}

fn describe(signature: &Signature) -> String {
    match signature.kind {
        SignatureKind::Certificate(fingerprint) => fingerprint.to_string(),
        SignatureKind::Program(fingerprint) => format!("program {fingerprint}"),
        SignatureKind::Other(kind) => format!("something of type {kind}"),
    }
}

fn tpm() -> Result<String> {
    ensure!(
        Path::new("/sys/class/tpm/tpm0").exists(),
        "the kernel sees no TPM"
    );
    let major = word("/sys/class/tpm/tpm0/tpm_version_major")?;
    Ok(format!("{major}.0"))
}

fn value_of(register: u32) -> Result<String> {
    let value = word(&format!("/sys/class/tpm/tpm0/pcr-sha256/{register}"))?;
    let hexadecimal = value.len() == 64 && value.bytes().all(|byte| byte.is_ascii_hexdigit());
    ensure!(hexadecimal, "register {register} is no SHA-256");
    Ok(value.to_ascii_lowercase())
}

/// The word in brackets: `none integrity [confidentiality]`.
fn chosen(text: &str) -> Result<String> {
    text.split_once('[')
        .and_then(|(_, rest)| rest.split_once(']'))
        .map(|(word, _)| word.to_owned())
        .context("no choice is marked")
}

/// The kernel's fixed-point numbers with 16 bits of fraction, rounded down.
fn averages(loads: [u64; 3]) -> String {
    let averages = loads.map(|load| {
        let hundredths = load.saturating_mul(100) >> 16;
        format!("{}.{:02}", hundredths / 100, hundredths % 100)
    });
    averages.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_files_are_understood() {
        assert_eq!(
            chosen("none integrity [confidentiality]").expect("marked"),
            "confidentiality"
        );
        assert!(chosen("none").is_err());
        assert_eq!(averages([0, 1 << 16, (3 << 16) / 2]), "0.00 1.00 1.50");
    }

    #[test]
    fn what_cannot_be_read_says_why_and_hurts_nothing_else() {
        let facts = Facts::read();
        assert!(facts.kernel.is_ok());
        assert!(
            facts
                .status
                .expect_err("no PID 1 of ours here")
                .contains("PID 1")
        );
        assert_eq!(facts.registers.len(), REGISTERS.len());
    }
}
