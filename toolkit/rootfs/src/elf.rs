//! What an ELF file says of itself.

use std::collections::BTreeSet;
use std::path::Path;

use object::elf;
use object::endian::LittleEndian;
use object::read::elf::{Dyn as _, ElfFile64, FileHeader as _, ProgramHeader as _};
use object::{Object as _, ObjectSymbol as _};

use crate::Error;

/// Bits of the GNU property `X86_FEATURE_1_AND` (x86-64 psABI).
const INDIRECT_BRANCH_TRACKING: u32 = 1;
const SHADOW_STACK: u32 = 2;

/// What the build wants to know of an ELF file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Elf {
    /// `ET_DYN`: position independent, program or library.
    pub position_independent: bool,
    /// `ET_REL`: a kernel module.
    pub relocatable: bool,
    /// `PT_INTERP`, if it has one.
    pub interpreter: Option<String>,
    /// `DT_NEEDED`, in order.
    pub needed: Vec<String>,
    /// It has a `PT_GNU_RELRO` segment.
    pub relro: bool,
    /// `DF_BIND_NOW` or `DF_1_NOW`.
    pub bind_now: bool,
    /// `PT_GNU_STACK` is there and not executable.
    pub stack_not_executable: bool,
    /// It has text relocations.
    pub text_relocations: bool,
    /// A segment is writable and executable.
    pub writable_executable: bool,
    /// It carries a library search path of its own.
    pub search_path: bool,
    /// It refers to or defines `__stack_chk_fail`.
    pub stack_protector: bool,
    /// It refers to or defines a checked (`_chk`) variant of a C function.
    pub fortify: bool,
    /// Marked for indirect branch tracking.
    pub indirect_branch_tracking: bool,
    /// Marked for the shadow stack.
    pub shadow_stack: bool,
}

/// Whether a file starts as an ELF file does.
#[must_use]
pub fn is_elf(content: &[u8]) -> bool {
    content.starts_with(&elf::ELFMAG)
}

impl Elf {
    /// Reads a 64-bit little-endian ELF file; `path` is for the message.
    ///
    /// # Errors
    /// When it is none, or malformed.
    pub fn parse(path: &Path, content: &[u8]) -> Result<Self, Error> {
        read(content).map_err(|source| Error::Elf {
            path: path.to_owned(),
            source,
        })
    }
}

fn read(content: &[u8]) -> Result<Elf, object::Error> {
    let file = ElfFile64::<LittleEndian>::parse(content)?;
    let endian = LittleEndian;
    let header = file.elf_header();
    let mut found = Elf {
        position_independent: header.e_type(endian) == elf::ET_DYN,
        relocatable: header.e_type(endian) == elf::ET_REL,
        ..Elf::default()
    };

    for segment in file.elf_program_headers() {
        let flags = segment.p_flags(endian);
        let executable = flags.0 & elf::PF_X.0 != 0;
        match segment.p_type(endian) {
            elf::PT_LOAD if executable && flags.0 & elf::PF_W.0 != 0 => {
                found.writable_executable = true;
            }
            elf::PT_GNU_RELRO => found.relro = true,
            elf::PT_GNU_STACK => found.stack_not_executable = !executable,
            _ => {}
        }
        if let Some(interpreter) = segment.interpreter(endian, content)? {
            found.interpreter = Some(String::from_utf8_lossy(interpreter).into_owned());
        }
        if let Some(mut notes) = segment.notes(endian, content)? {
            while let Some(note) = notes.next()? {
                let Some(mut properties) = note.gnu_properties(endian) else {
                    continue;
                };
                while let Some(property) = properties.next()? {
                    if property.pr_type() == elf::GNU_PROPERTY_X86_FEATURE_1_AND {
                        let bits = property.data_u32(endian)?;
                        found.indirect_branch_tracking = bits & INDIRECT_BRANCH_TRACKING != 0;
                        found.shadow_stack = bits & SHADOW_STACK != 0;
                    }
                }
            }
        }
        if let Some(entries) = segment.dynamic(endian, content)? {
            let strings = file.elf_dynamic_symbol_table().strings();
            for entry in entries {
                let value = entry.d_val(endian);
                match entry.d_tag(endian) {
                    elf::DT_NEEDED => {
                        let offset = u32::try_from(value).unwrap_or(u32::MAX);
                        let name = strings.get(offset).unwrap_or_default();
                        found
                            .needed
                            .push(String::from_utf8_lossy(name).into_owned());
                    }
                    elf::DT_TEXTREL => found.text_relocations = true,
                    elf::DT_RPATH | elf::DT_RUNPATH => found.search_path = true,
                    elf::DT_BIND_NOW => found.bind_now = true,
                    elf::DT_FLAGS => {
                        found.bind_now |= value & elf::DF_BIND_NOW.0 != 0;
                        found.text_relocations |= value & elf::DF_TEXTREL.0 != 0;
                    }
                    elf::DT_FLAGS_1 => found.bind_now |= value & elf::DF_1_NOW.0 != 0,
                    _ => {}
                }
            }
        }
    }

    let names: BTreeSet<&str> = file
        .dynamic_symbols()
        .filter_map(|symbol| symbol.name().ok())
        .collect();
    found.stack_protector = names.contains("__stack_chk_fail");
    found.fortify = names
        .iter()
        .any(|name| name.starts_with("__") && name.ends_with("_chk"));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_very_test_is_a_hardened_program() {
        let path = std::env::current_exe().expect("path of the test");
        let content = std::fs::read(&path).expect("content of the test");
        assert!(is_elf(&content));
        let elf = Elf::parse(&path, &content).expect("an ELF file");
        assert!(
            elf.interpreter
                .as_deref()
                .is_some_and(|loader| loader.contains("ld-linux"))
        );
        assert!(elf.needed.iter().any(|library| library == "libc.so.6"));
        // What rustc does by itself on this platform.
        assert!(elf.position_independent && elf.relro && elf.bind_now);
        assert!(elf.stack_not_executable && !elf.writable_executable);
        assert!(!elf.text_relocations && !elf.search_path && !elf.relocatable);
    }

    #[test]
    fn rubbish_is_an_error_that_names_the_file() {
        let error = Elf::parse(Path::new("usr/lib/rubbish"), b"\x7fELF rubbish");
        let message = error.expect_err("no ELF file").to_string();
        assert!(message.contains("usr/lib/rubbish"), "{message}");
    }
}
