//! Judges a finished tree without asking how it was made.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

use serde::Serialize;

use crate::Error;
use crate::elf::{Elf, is_elf};
use crate::hardening::{self, Exception, Language, Property};

/// Programs that run what they are given, or make programs: none may be in Core,
/// whatever the reason. A name counts up to its first digit, `.` or `-`, so that
/// `python3.13` and `ld.so.1` are found too.
const INTERPRETERS: &[&str] = &[
    "ash", "as", "awk", "bash", "bpftrace", "busybox", "cc", "clang", "csh", "cpp", "dash",
    "expect", "fish", "gawk", "gcc", "gdb", "guile", "java", "ksh", "ld", "lld", "lua", "luajit",
    "mawk", "mksh", "node", "perl", "php", "python", "qemu", "rbash", "ruby", "rustc", "sash",
    "sed", "sh", "socat", "strace", "tcc", "tclsh", "toybox", "vi", "vim", "zsh",
];

/// What the audit is told: which executables there are to be.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    /// Paths of our own programs.
    pub programs: BTreeSet<String>,
    /// Paths that the plan or the packages account for.
    pub known: BTreeSet<String>,
    /// Let off something.
    pub exceptions: Vec<Exception>,
}

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Violation {
    /// Where.
    pub path: String,
    /// What, in words.
    pub fault: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.path, self.fault)
    }
}

/// What was found about an ELF file.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ElfReport {
    /// In what it is written, as far as the demands go.
    pub language: Language,
    /// Each demanded property.
    pub properties: BTreeMap<Property, bool>,
    /// The properties it is let off, with the reasons.
    pub exceptions: BTreeMap<Property, String>,
    /// Marked for indirect branch tracking: reported, not demanded, as Debian's C
    /// library and start files do not carry the mark.
    pub indirect_branch_tracking: bool,
    /// Marked for the shadow stack; likewise.
    pub shadow_stack: bool,
}

/// The verdict over a tree.
#[must_use = "a violation must stop the build"]
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Verdict {
    /// Every ELF file, by path.
    pub elf: BTreeMap<String, ElfReport>,
    /// Everything wrong, sorted by path.
    pub violations: Vec<Violation>,
    /// How many regular files there are.
    pub files: usize,
}

/// Judges the tree.
///
/// # Errors
/// When it cannot be read; what is wrong with it is in the verdict.
pub fn audit(tree: &Path, expected: &Expected) -> Result<Verdict, Error> {
    let mut auditor = Auditor {
        tree,
        expected,
        verdict: Verdict::default(),
        used: BTreeSet::new(),
    };
    auditor.directory(Path::new(""))?;
    for exception in &expected.exceptions {
        if !auditor
            .used
            .contains(&(exception.file.clone(), exception.property))
        {
            auditor.fault(
                Path::new(&exception.file),
                format!(
                    "is let off {} but does not need to be; remove the exception",
                    name(exception.property)
                ),
            );
        }
    }
    auditor
        .verdict
        .violations
        .sort_by(|one, other| one.path.cmp(&other.path));
    Ok(auditor.verdict)
}

struct Auditor<'a> {
    tree: &'a Path,
    expected: &'a Expected,
    verdict: Verdict,
    used: BTreeSet<(String, Property)>,
}

impl Auditor<'_> {
    fn fault(&mut self, path: &Path, fault: impl Into<String>) {
        self.verdict.violations.push(Violation {
            path: path.display().to_string(),
            fault: fault.into(),
        });
    }

    fn directory(&mut self, path: &Path) -> Result<(), Error> {
        let source = self.tree.join(path);
        for entry in fs::read_dir(&source).map_err(Error::file("look into", &source))? {
            let entry = entry.map_err(Error::file("look into", &source))?;
            self.entry(&path.join(entry.file_name()))?;
        }
        Ok(())
    }

    fn entry(&mut self, path: &Path) -> Result<(), Error> {
        let source = self.tree.join(path);
        let metadata = fs::symlink_metadata(&source).map_err(Error::file("look at", &source))?;
        if !self.expected.known.contains(&path.display().to_string()) {
            self.fault(path, "is of no known origin");
        }
        if metadata.is_symlink() {
            return self.link(path, &source);
        }
        let mode = metadata.permissions().mode() & 0o7777;
        if mode & 0o6000 != 0 {
            self.fault(path, format!("is set-uid or set-gid (mode {mode:04o})"));
        }
        if mode & 0o022 != 0 {
            self.fault(
                path,
                format!("is writable by others than root (mode {mode:04o})"),
            );
        }
        if metadata.is_dir() {
            self.directory(path)
        } else if metadata.is_file() {
            self.file(path, &source, mode)
        } else {
            self.fault(path, "is neither file, directory nor symbolic link");
            Ok(())
        }
    }

    fn link(&mut self, path: &Path, source: &Path) -> Result<(), Error> {
        let target = fs::read_link(source).map_err(Error::file("read the link", source))?;
        if !leads_inside(self.tree, path, &target) {
            self.fault(
                path,
                format!("leads to {}, which is not there", target.display()),
            );
        }
        Ok(())
    }

    fn file(&mut self, path: &Path, source: &Path, mode: u32) -> Result<(), Error> {
        self.verdict.files += 1;
        let content = fs::read(source).map_err(Error::file("read", source))?;
        let text = path.display().to_string();
        let executable = mode & 0o111 != 0;
        if content.starts_with(b"#!") {
            self.fault(path, "is a script, and there is no interpreter to run it");
        }
        let program = self.expected.programs.contains(&text);
        let loader = is_loader(path);
        if (executable || is_elf(&content)) && !loader && is_interpreter(path) {
            self.fault(
                path,
                "has the name of a shell, interpreter, compiler or debugger",
            );
        }
        if executable && !program && !loader {
            self.fault(
                path,
                "is executable, yet neither a program of ours nor the dynamic loader",
            );
        }
        if !is_elf(&content) {
            if executable || program {
                self.fault(path, "is executable without being an ELF file");
            }
            return Ok(());
        }
        let elf = Elf::parse(path, &content)?;
        if elf.relocatable && path.extension().is_some_and(|extension| extension == "ko") {
            // A kernel module: the kernel lays it out, and checks its signature.
            return Ok(());
        }
        if elf.interpreter.is_some() && !program && !is_c_library(path) {
            self.fault(path, "can be started as a program, yet is none of ours");
        }
        self.hardening(
            path,
            &elf,
            if program { Language::Rust } else { Language::C },
        );
        Ok(())
    }

    fn hardening(&mut self, path: &Path, elf: &Elf, language: Language) {
        let text = path.display().to_string();
        let mut exceptions = BTreeMap::new();
        for property in hardening::lacking(elf, language) {
            let exception = self
                .expected
                .exceptions
                .iter()
                .find(|exception| exception.file == text && exception.property == property);
            match exception {
                Some(exception) => {
                    self.used.insert((text.clone(), property));
                    exceptions.insert(property, exception.reason.clone());
                }
                None => self.fault(
                    path,
                    format!("lacks the hardening property {}", name(property)),
                ),
            }
        }
        let properties = Property::demanded(language)
            .map(|property| (property, property.holds(elf)))
            .collect();
        let report = ElfReport {
            language,
            properties,
            exceptions,
            indirect_branch_tracking: elf.indirect_branch_tracking,
            shadow_stack: elf.shadow_stack,
        };
        self.verdict.elf.insert(text, report);
    }
}

fn name(property: Property) -> String {
    // The same word as in hardening.toml.
    serde_json::to_value(property)
        .ok()
        .and_then(|value| value.as_str().map(str::to_owned))
        .unwrap_or_default()
}

fn is_loader(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name == "ld-linux-x86-64.so.2")
}

/// The C library has an entry point that prints its version; it has no execute
/// permission in the Core.
fn is_c_library(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "libc.so.6")
}

fn is_interpreter(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let word = name
        .split(|character: char| character.is_ascii_digit() || ".-".contains(character))
        .next()
        .unwrap_or_default();
    INTERPRETERS.contains(&word)
}

/// Whether a link at `path` saying `target` ends at something in the tree.
fn leads_inside(tree: &Path, path: &Path, target: &Path) -> bool {
    const LONGEST_CHAIN: usize = 40;
    let mut rest: Vec<PathBuf> = Vec::new();
    let mut current = path.parent().unwrap_or(Path::new("")).to_owned();
    push(&mut rest, target);
    let mut steps = 0;
    while let Some(component) = rest.pop() {
        steps += 1;
        if steps > LONGEST_CHAIN {
            return false;
        }
        match component.components().next() {
            Some(Component::RootDir) => current = PathBuf::new(),
            Some(Component::ParentDir) => {
                let above_the_root = !current.pop();
                if above_the_root {
                    return false;
                }
            }
            Some(Component::Normal(name)) => {
                let next = current.join(name);
                match fs::symlink_metadata(tree.join(&next)) {
                    Err(_) => return false,
                    Ok(metadata) if metadata.is_symlink() => {
                        let Ok(target) = fs::read_link(tree.join(&next)) else {
                            return false;
                        };
                        push(&mut rest, &target);
                    }
                    Ok(_) => current = next,
                }
            }
            _ => {}
        }
    }
    true
}

fn push(rest: &mut Vec<PathBuf>, target: &Path) {
    let components: Vec<PathBuf> = target
        .components()
        .map(|component| PathBuf::from(component.as_os_str()))
        .collect();
    rest.extend(components.into_iter().rev());
}

#[cfg(test)]
mod tests;
