//! What every ELF file of the Core must have, and who may do without.

use serde::{Deserialize, Serialize};

use crate::elf::Elf;

/// A property that is demanded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Property {
    /// Loaded at a random address.
    PositionIndependent,
    /// Relocated data becomes read-only after start.
    Relro,
    /// All symbols are bound at start, so that RELRO covers the whole of the GOT.
    BindNow,
    /// The stack is not executable.
    StackNotExecutable,
    /// Code is never written to for relocation.
    NoTextRelocations,
    /// No segment is both writable and executable.
    NoWritableExecutable,
    /// No library search path is built in.
    NoSearchPath,
    /// C code checks stack canaries.
    StackProtector,
    /// C code calls checked variants of library functions.
    Fortify,
}

/// What kind of object is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Language {
    /// Ours: memory-safe, so canaries and checked C functions have no place.
    Rust,
    /// From a package.
    C,
}

/// A file that is let off a property.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Exception {
    /// The file, as a path inside the Core.
    pub file: String,
    /// The property that it cannot have.
    pub property: Property,
    /// Why it cannot, and why that is bearable.
    pub reason: String,
}

/// `hardening.toml` of a product: its exceptions.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Exceptions {
    /// Version of the format: 1.
    pub version: ExceptionsVersion,
    /// The exceptions.
    #[serde(default)]
    pub exception: Vec<Exception>,
}

/// The only version there is; any other is refused when reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u32")]
pub struct ExceptionsVersion;

impl TryFrom<u32> for ExceptionsVersion {
    type Error = String;

    fn try_from(version: u32) -> Result<Self, Self::Error> {
        match version {
            1 => Ok(Self),
            other => Err(format!(
                "version {other} of hardening.toml is not known; this tool knows 1"
            )),
        }
    }
}

impl Exceptions {
    /// Reads the text of a `hardening.toml`.
    ///
    /// # Errors
    /// When it is not of that format.
    pub fn parse(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }
}

impl Property {
    /// Whether an ELF file has it.
    #[must_use]
    pub fn holds(self, elf: &Elf) -> bool {
        match self {
            Self::PositionIndependent => elf.position_independent,
            Self::Relro => elf.relro,
            Self::BindNow => elf.bind_now,
            Self::StackNotExecutable => elf.stack_not_executable,
            Self::NoTextRelocations => !elf.text_relocations,
            Self::NoWritableExecutable => !elf.writable_executable,
            Self::NoSearchPath => !elf.search_path,
            Self::StackProtector => elf.stack_protector,
            Self::Fortify => elf.fortify,
        }
    }

    /// What is demanded of a language's objects.
    pub fn demanded(language: Language) -> impl Iterator<Item = Self> {
        const ALL: [Property; 9] = [
            Property::PositionIndependent,
            Property::Relro,
            Property::BindNow,
            Property::StackNotExecutable,
            Property::NoTextRelocations,
            Property::NoWritableExecutable,
            Property::NoSearchPath,
            Property::StackProtector,
            Property::Fortify,
        ];
        ALL.into_iter().filter(move |property| {
            language == Language::C || !matches!(property, Self::StackProtector | Self::Fortify)
        })
    }
}

/// The properties that an ELF file lacks.
#[must_use]
pub fn lacking(elf: &Elf, language: Language) -> Vec<Property> {
    Property::demanded(language)
        .filter(|property| !property.holds(elf))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound() -> Elf {
        Elf {
            position_independent: true,
            relro: true,
            bind_now: true,
            stack_not_executable: true,
            stack_protector: true,
            fortify: true,
            ..Elf::default()
        }
    }

    #[test]
    fn a_sound_file_lacks_nothing() {
        assert_eq!(lacking(&sound(), Language::C), []);
        assert_eq!(lacking(&sound(), Language::Rust), []);
    }

    #[test]
    fn each_weakness_is_named() {
        type Weakening = (fn(&mut Elf), Property);
        let weaken: [Weakening; 9] = [
            (
                |elf| elf.position_independent = false,
                Property::PositionIndependent,
            ),
            (|elf| elf.relro = false, Property::Relro),
            (|elf| elf.bind_now = false, Property::BindNow),
            (
                |elf| elf.stack_not_executable = false,
                Property::StackNotExecutable,
            ),
            (
                |elf| elf.text_relocations = true,
                Property::NoTextRelocations,
            ),
            (
                |elf| elf.writable_executable = true,
                Property::NoWritableExecutable,
            ),
            (|elf| elf.search_path = true, Property::NoSearchPath),
            (|elf| elf.stack_protector = false, Property::StackProtector),
            (|elf| elf.fortify = false, Property::Fortify),
        ];
        for (weaken, property) in weaken {
            let mut elf = sound();
            weaken(&mut elf);
            assert_eq!(lacking(&elf, Language::C), [property]);
        }
        assert_eq!(
            lacking(&Elf::default(), Language::Rust).len(),
            4,
            "canaries and checked functions are not asked of Rust"
        );
    }

    #[test]
    fn an_exception_needs_a_reason_and_a_known_property() {
        let good = "version = 1\n[[exception]]\nfile = \"usr/lib/a.so\"\nproperty = \"bind-now\"\nreason = \"so\"\n";
        assert_eq!(Exceptions::parse(good).expect("good").exception.len(), 1);
        for bad in [
            good.replace("reason = \"so\"\n", ""),
            good.replace("bind-now", "luck"),
            good.replace("version = 1", "version = 2"),
            good.replace("file =", "path ="),
        ] {
            assert!(Exceptions::parse(&bad).is_err(), "{bad}");
        }
    }
}
