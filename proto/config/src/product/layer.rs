//! One product's own definition, validated but not yet merged.

use std::path::{Path, PathBuf};

use super::{OnFailure, Package, RecoveryKey, VERSION, Word, raw};
use crate::name::{ServiceName, Why, check_name, check_text};
use crate::problem::{Examination, Problems, Spanned};

/// Options that the toolkit computes, or that would take the boot elsewhere.
const RESERVED_OPTIONS: [&str; 8] = [
    "console",
    "init",
    "rdinit",
    "initrd",
    "root",
    "rootflags",
    "bastide",
    "single",
];

/// One product's own definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    pub(super) file: PathBuf,
    pub(super) name: String,
    pub(super) extends: Option<String>,
    pub(super) title: String,
    pub(super) version: Option<String>,
    pub(super) instrumented: bool,
    pub(super) demo_notice: Option<String>,
    pub(super) on_failure: Option<OnFailure>,
    pub(super) command_line: Vec<Word>,
    pub(super) services: Vec<ServiceName>,
    pub(super) packages: Vec<Package>,
    pub(super) esp_mib: Option<u32>,
    pub(super) core_mib: Option<u32>,
    pub(super) state_mib: Option<u32>,
    pub(super) swap_mib: Option<u32>,
    pub(super) recovery_key: Option<RecoveryKey>,
    pub(super) consoles: Option<Vec<String>>,
    pub(super) vendor: Option<String>,
    pub(super) home_url: Option<String>,
}

impl Layer {
    /// Reads the definition of the product `name`; `file` is for the messages only.
    ///
    /// # Errors
    /// Everything wrong with it.
    pub fn parse(name: &str, file: &Path, text: &str) -> Result<Self, Problems> {
        let (raw, seen) = Examination::parse::<raw::File>(file, text)?;
        validate(name, file, &raw, seen)
    }
}

fn validate(
    name: &str,
    file: &Path,
    raw: &raw::File,
    mut seen: Examination<'_>,
) -> Result<Layer, Problems> {
    seen.bound(&raw.services, "services");
    seen.bound(&raw.packages, "packages");
    seen.bound(&raw.boot.command_line, "boot.command-line");

    seen.check(&raw.version, "version", |version| {
        (*version == VERSION)
            .then_some(())
            .ok_or_else(|| format!("{version} is not known; this release reads {VERSION}"))
    });
    seen.check(&raw.product.name, "product.name", |text| {
        check_name(text)?;
        (text == name)
            .then_some(())
            .ok_or_else(|| format!("`{text}` lies in the folder of `{name}`"))
    });
    let extends = optional(raw.extends.as_ref(), "extends", &mut seen, |text| {
        check_name(text).map(|()| text.to_owned())
    });
    let title = seen.check(&raw.product.title, "product.title", |text| check_text(text));
    let version = optional(
        raw.product.version.as_ref(),
        "product.version",
        &mut seen,
        check_version,
    );
    let instrumented_why = optional(
        raw.instrumented_why.as_ref(),
        "instrumented-why",
        &mut seen,
        Why::new,
    );
    if raw.instrumented && instrumented_why.is_none() {
        seen.whole(
            "instrumented-why",
            "an instrumented product says why it is one",
        );
    }
    let demo_notice = optional(
        raw.demo.as_ref().map(|demo| &demo.notice),
        "demo.notice",
        &mut seen,
        check_text,
    );
    let on_failure = optional(
        raw.boot.on_failure.as_ref(),
        "boot.on-failure",
        &mut seen,
        |text| match text {
            "power-off" => Ok(OnFailure::PowerOff),
            "wait" => Ok(OnFailure::Wait),
            _ => Err("is `power-off` or `wait`".to_owned()),
        },
    );
    let command_line = words(&raw.boot.command_line, &mut seen);
    let services = distinct(&raw.services, "services", &mut seen, |text| {
        ServiceName::new(text)
    });
    let packages = packages(&raw.packages, &mut seen);
    let consoles = raw.consoles.as_ref().map(|consoles| {
        if consoles.get_ref().is_empty() {
            seen.at(consoles.span(), "consoles", "names no console");
        }
        distinct(consoles.get_ref(), "consoles", &mut seen, check_console)
    });

    let size = |value: &Option<Spanned<i64>>, key, seen: &mut Examination<'_>| {
        seen.check(value.as_ref()?, key, |value| {
            u32::try_from(*value)
                .ok()
                .filter(|mib| (64..=1_048_576).contains(mib))
                .ok_or_else(|| format!("{value} is not within 64 to 1048576"))
        })
    };
    let esp_mib = size(&raw.partitions.esp_mib, "partitions.esp-mib", &mut seen);
    let core_mib = size(&raw.partitions.core_mib, "partitions.core-mib", &mut seen);
    let state_mib = size(&raw.partitions.state_mib, "partitions.state-mib", &mut seen);
    let swap_mib = size(&raw.partitions.swap_mib, "partitions.swap-mib", &mut seen);
    let recovery_key = optional(
        raw.state.recovery_key.as_ref(),
        "state.recovery-key",
        &mut seen,
        |text| match text {
            "confirmed" => Ok(RecoveryKey::Confirmed),
            "shown" => Ok(RecoveryKey::Shown),
            _ => Err("is `confirmed` or `shown`".to_owned()),
        },
    );
    let vendor = optional(
        raw.branding.vendor.as_ref(),
        "branding.vendor",
        &mut seen,
        check_text,
    );
    let home_url = optional(
        raw.branding.home_url.as_ref(),
        "branding.home-url",
        &mut seen,
        |text| {
            let text = check_text(text)?;
            text.starts_with("https://")
                .then_some(text)
                .ok_or_else(|| "is an https address".to_owned())
        },
    );

    let layer = title.map(|title| Layer {
        file: file.to_owned(),
        name: name.to_owned(),
        extends,
        title,
        version,
        instrumented: raw.instrumented,
        demo_notice,
        on_failure,
        command_line,
        services,
        packages,
        esp_mib,
        core_mib,
        state_mib,
        swap_mib,
        recovery_key,
        consoles,
        vendor,
        home_url,
    });
    seen.finish(layer)
}

fn optional<T>(
    value: Option<&Spanned<String>>,
    key: &str,
    seen: &mut Examination<'_>,
    check: impl FnOnce(&str) -> Result<T, String>,
) -> Option<T> {
    seen.check(value?, key, |text| check(text))
}

/// Checks each item and refuses one that comes twice.
fn distinct<T: PartialEq>(
    list: &[Spanned<String>],
    key: &str,
    seen: &mut Examination<'_>,
    check: impl Fn(&str) -> Result<T, String>,
) -> Vec<T> {
    let mut all = Vec::new();
    for item in list {
        let checked = seen.check(item, key, |text| {
            let item = check(text)?;
            if all.contains(&item) {
                return Err(format!("`{text}` is listed twice"));
            }
            Ok(item)
        });
        all.extend(checked);
    }
    all
}

fn words(raw: &[raw::Word], seen: &mut Examination<'_>) -> Vec<Word> {
    let mut all: Vec<Word> = Vec::new();
    for entry in raw {
        let word = seen.check(&entry.word, "boot.command-line.word", |text| {
            check_word(text)?;
            let option = text.split('=').next().unwrap_or(text);
            if all.iter().any(|word| word.option() == option) {
                return Err(format!("`{option}` is given twice"));
            }
            Ok(text.clone())
        });
        let why = seen.check(&entry.why, "boot.command-line.why", |text| Why::new(text));
        if let (Some(word), Some(why)) = (word, why) {
            all.push(Word { word, why });
        }
    }
    all
}

fn check_word(text: &str) -> Result<(), String> {
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"\"'\\@".contains(&byte);
    if text.is_empty() || text.len() > 200 || !text.bytes().all(plain) {
        return Err("is one word of printable ASCII without quotes, `\\` or `@`".to_owned());
    }
    let option = text.split(['=', '.']).next().unwrap_or(text);
    if RESERVED_OPTIONS.contains(&option) {
        return Err(format!("`{option}` is the toolkit's to set"));
    }
    Ok(())
}

fn packages(raw: &[raw::Package], seen: &mut Examination<'_>) -> Vec<Package> {
    let mut all: Vec<Package> = Vec::new();
    for entry in raw {
        let name = seen.check(&entry.name, "packages.name", |text| {
            let plain = text.bytes().all(|byte| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte)
            });
            if text.len() < 2 || text.len() > 64 || !plain {
                return Err("is no Debian package name".to_owned());
            }
            if all.iter().any(|package| package.name == **text) {
                return Err(format!("`{text}` is listed twice"));
            }
            Ok(text.clone())
        });
        let why = seen.check(&entry.why, "packages.why", |text| Why::new(text));
        if let (Some(name), Some(why)) = (name, why) {
            all.push(Package { name, why });
        }
    }
    all
}

fn check_version(text: &str) -> Result<String, String> {
    let plain =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".~-".contains(&byte);
    let first = text.starts_with(|first: char| first.is_ascii_digit());
    if first && text.len() <= 32 && text.bytes().all(plain) {
        Ok(text.to_owned())
    } else {
        Err("is a digit, then a-z, 0-9, `.`, `~` and `-`, at most 32 long".to_owned())
    }
}

fn check_console(text: &str) -> Result<String, String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b',';
    let named = text.starts_with("tty") || text.starts_with("hvc");
    if named && text.len() <= 32 && text.bytes().all(plain) {
        Ok(text.to_owned())
    } else {
        Err("is a value of `console=`, for example `tty0` or `ttyS0,115200`".to_owned())
    }
}
