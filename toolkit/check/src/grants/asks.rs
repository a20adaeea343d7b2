//! What code asks the system for, as far as tokens tell.

use std::fmt;
use std::path::{Path, PathBuf};

use super::tokens::{Literal, Mention, Mentions};

/// The places whose paths are granted one by one.
const PLACES: [&str; 7] = ["/dev", "/etc", "/proc", "/run", "/sys", "/usr", "/var"];

/// Something that code asks for, and where.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ask {
    /// The source, relative to the tree.
    pub file: PathBuf,
    /// The line, counted from 1.
    pub line: usize,
    /// What.
    pub what: What,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// A path. What a format puts in is cut off with everything behind: the rest is a
    /// directory.
    Path(String),
    /// A Varlink interface.
    Interface(String),
    /// An address family, as definitions name it.
    Family(String),
    /// A capability, as definitions name it.
    Capability(String),
}

impl What {
    /// What to do about a thing that is not granted.
    pub(super) fn advice(&self) -> &'static str {
        match self {
            Self::Path(path) if path.starts_with("/dev") => {
                "grant it with [[devices]] or do without"
            }
            Self::Path(path) if path.starts_with("/var") => {
                "grant it with [state] or [[writable]] or do without"
            }
            Self::Path(path) if path.starts_with("/run") => {
                "grant it with [[calls]], [[sockets]], [runtime], [[readable]] or [[writable]], or do without"
            }
            Self::Path(path) if path.starts_with("/proc") => {
                "no definition can: a service sees its own processes there and nothing else"
            }
            Self::Path(_) => "grant it with [[readable]] or do without",
            Self::Interface(_) => {
                "grant it with [[calls]], or [[serves]] if it serves it, or do without"
            }
            Self::Family(_) => "grant it with [[address-families]] or do without",
            Self::Capability(_) => "grant it with [[capabilities]] or do without",
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(formatter, "\"{path}\""),
            Self::Interface(name) => write!(formatter, "the interface {name}"),
            Self::Family(name) => write!(formatter, "the address family {name}"),
            Self::Capability(name) => formatter.write_str(name),
        }
    }
}

/// What some tokens ask for.
pub(super) fn of(mentions: &Mentions, file: &Path) -> Vec<Ask> {
    let ask = |what, line| Ask {
        file: file.to_owned(),
        line,
        what,
    };
    let literals = mentions
        .literals
        .iter()
        .filter_map(|literal| Some(ask(in_literal(literal)?, literal.line)));
    let paths = mentions.paths.iter().flat_map(|mention| {
        in_path(mention)
            .into_iter()
            .map(|what| ask(what, mention.line))
    });
    literals.chain(paths).collect()
}

fn in_literal(literal: &Literal) -> Option<What> {
    let text = &literal.text;
    path(text)
        .map(What::Path)
        .or_else(|| interface(text).map(What::Interface))
        .or_else(|| capability(text).map(What::Capability))
}

/// The path that a text is, up to what a format puts in.
fn path(text: &str) -> Option<String> {
    let (fixed, whole) = match text.split_once('{') {
        Some((fixed, _)) => (fixed, false),
        None => (text, true),
    };
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "/-_.:@+*%".contains(letter);
    if !fixed.chars().all(plain) || text.contains([' ', '\n']) {
        return None;
    }
    // `/dev/tty{number}` is something in /dev.
    let fixed = match whole {
        true => fixed,
        false => fixed.rsplit_once('/')?.0,
    };
    let fixed = fixed.trim_end_matches('/');
    let below = |place: &str| {
        fixed
            .strip_prefix(place)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    PLACES.into_iter().any(below).then(|| fixed.to_owned())
}

/// The Varlink interface of ours that a text names, be it by a method or an error of it.
fn interface(text: &str) -> Option<String> {
    let rest = text.strip_prefix("org.bastide.")?;
    let name = rest.split('.').next()?;
    let plain = name.starts_with(|first: char| first.is_ascii_uppercase())
        && rest
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || letter == '.');
    plain.then(|| format!("org.bastide.{name}"))
}

fn capability(text: &str) -> Option<String> {
    let rest = text.strip_prefix("CAP_")?;
    let plain = |letter: char| letter.is_ascii_uppercase() || letter == '_';
    (!rest.is_empty() && rest.chars().all(plain)).then(|| text.to_owned())
}

/// Constructors of the standard library that make a socket, with its families.
const CONSTRUCTORS: [(&str, &[&str], &[&str]); 6] = [
    (
        "UnixStream",
        &["connect", "connect_addr", "pair"],
        &["unix"],
    ),
    ("UnixListener", &["bind", "bind_addr"], &["unix"]),
    (
        "UnixDatagram",
        &["bind", "bind_addr", "pair", "unbound"],
        &["unix"],
    ),
    (
        "TcpStream",
        &["connect", "connect_timeout"],
        &["inet", "inet6"],
    ),
    ("TcpListener", &["bind"], &["inet", "inet6"]),
    ("UdpSocket", &["bind"], &["inet", "inet6"]),
];

fn in_path(mention: &Mention) -> Vec<What> {
    let [.., of, name] = mention.path.as_slice() else {
        return Vec::new();
    };
    let constant = name.starts_with(|first: char| first.is_ascii_uppercase());
    match of.as_str() {
        // rustix writes UNIX, nix writes Unix.
        "AddressFamily" if constant => vec![What::Family(name.to_ascii_lowercase())],
        "CapabilitySet" | "Capability" if constant && name.to_ascii_uppercase() == *name => {
            let bare = name.trim_start_matches("CAP_");
            vec![What::Capability(format!("CAP_{bare}"))]
        }
        of => CONSTRUCTORS
            .iter()
            .filter(|(kind, names, _)| *kind == of && names.contains(&name.as_str()))
            .flat_map(|(_, _, families)| families.iter())
            .map(|family| What::Family((*family).to_owned()))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cut_where_a_format_puts_something_in() {
        assert_eq!(path("/dev/kmsg").as_deref(), Some("/dev/kmsg"));
        assert_eq!(path("/usr/lib/x/").as_deref(), Some("/usr/lib/x"));
        assert_eq!(path("/sys/a/b{n}/c").as_deref(), Some("/sys/a"));
        assert_eq!(path("/proc/{pid}/exe").as_deref(), Some("/proc"));
        for no in [
            "/device",
            "dev/x",
            "/",
            "/home/x",
            "/dev/x is gone",
            "{x}/dev",
            "/{x}",
        ] {
            assert_eq!(path(no), None, "{no}");
        }
    }

    #[test]
    fn an_interface_is_named_by_its_methods_too() {
        for text in ["org.bastide.Init", "org.bastide.Init.Reboot"] {
            assert_eq!(interface(text).as_deref(), Some("org.bastide.Init"));
        }
        for no in [
            "org.bastide",
            "org.bastide.",
            "org.bastide.init",
            "org.bastide.X y",
        ] {
            assert_eq!(interface(no), None, "{no}");
        }
    }

    #[test]
    fn families_and_capabilities_have_the_names_of_definitions() {
        let found = |code: &str| -> Vec<String> {
            let mentions = Mentions::of(code.parse().unwrap());
            let asks = of(&mentions, Path::new("x"));
            asks.into_iter().map(|ask| ask.what.to_string()).collect()
        };
        assert_eq!(
            found("net::AddressFamily::NETLINK"),
            ["the address family netlink"]
        );
        assert_eq!(found("UnixStream::connect(x)"), ["the address family unix"]);
        assert!(found("UnixListener::from(descriptor)").is_empty());
        assert_eq!(found("CapabilitySet::SYS_TIME"), ["CAP_SYS_TIME"]);
        assert_eq!(found("Capability::CAP_SYS_TIME"), ["CAP_SYS_TIME"]);
        assert_eq!(found("\"CAP_SYS_TIME\""), ["CAP_SYS_TIME"]);
        assert!(found("Capability::named(x)").is_empty());
    }
}
