//! Which mirror this machine uses, from its own apt configuration.

use std::fs;
use std::path::Path;

use crate::Error;
use crate::definition::Archive;

/// Where Debian's archives are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    main: String,
    security: String,
}

impl Mirror {
    /// A mirror named by the user; security updates are looked for beside it.
    pub fn new(url: &str) -> Self {
        let main = url.trim_end_matches('/').to_owned();
        Self {
            security: format!("{main}-security"),
            main,
        }
    }

    /// The mirror that this machine's apt uses.
    ///
    /// # Errors
    /// When it names none of Debian's.
    pub fn of_host() -> Result<Self, Error> {
        let mut texts = Vec::new();
        let base = Path::new("/etc/apt");
        let mut paths = vec![base.join("sources.list")];
        if let Ok(entries) = fs::read_dir(base.join("sources.list.d")) {
            let mut parts = entries
                .flatten()
                .map(|entry| entry.path())
                .collect::<Vec<_>>();
            parts.sort();
            paths.extend(parts);
        }
        for path in paths {
            let extension = path.extension().and_then(|extension| extension.to_str());
            // An unreadable file is one that apt does not read for this user either.
            if let Ok(text) = fs::read_to_string(&path) {
                match extension {
                    Some("list") => texts.extend(one_line(&text)),
                    Some("sources") => texts.extend(deb822(&text)),
                    _ => {}
                }
            }
        }
        choose(&texts).ok_or(Error::NoMirror)
    }

    /// Where an archive is, without a slash at the end.
    pub(crate) fn url(&self, archive: Archive) -> &str {
        match archive {
            Archive::Main => &self.main,
            Archive::Security => &self.security,
        }
    }
}

/// A source of packages: where, and which suite.
type Entry = (String, String);

fn choose(entries: &[Entry]) -> Option<Mirror> {
    let usable = |url: &str| {
        // Others need what only the host's apt has, or are no archive.
        let scheme = url.split(':').next();
        matches!(scheme, Some("http" | "https" | "file"))
    };
    let last = |url: &str| url.rsplit('/').next().unwrap_or_default().to_owned();
    let main = entries
        .iter()
        .find(|(url, suite)| usable(url) && !suite.contains("security") && last(url) == "debian")
        .map(|(url, _)| Mirror::new(url))?;
    let security = entries
        .iter()
        .find(|(url, suite)| {
            let suite = suite.split('/').next().unwrap_or_default();
            usable(url) && suite.ends_with("-security") && last(url).starts_with("debian")
        })
        .map(|(url, _)| url.clone());
    Some(Mirror {
        security: security.unwrap_or(main.security),
        main: main.main,
    })
}

/// Entries of sources.list(5)'s one-line style: `deb [options] url suite parts`.
fn one_line(text: &str) -> Vec<Entry> {
    text.lines()
        .filter_map(|line| {
            let rest = line.split('#').next()?.trim().strip_prefix("deb ")?.trim();
            let rest = match rest.strip_prefix('[') {
                Some(options) => options.split_once(']')?.1.trim(),
                None => rest,
            };
            let mut words = rest.split_whitespace();
            Some((clean(words.next()?), words.next()?.to_owned()))
        })
        .collect()
}

/// Entries of sources.list(5)'s deb822 style.
fn deb822(text: &str) -> Vec<Entry> {
    let mut entries = Vec::new();
    for stanza in crate::control::stanzas(text) {
        let words = |name: &str| {
            let value = stanza.get(name).unwrap_or_default();
            value
                .split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let enabled = stanza
            .get("Enabled")
            .is_none_or(|value| !matches!(value.trim(), "no" | "false"));
        if enabled && words("Types").iter().any(|word| word == "deb") {
            for url in words("URIs") {
                for suite in words("Suites") {
                    entries.push((clean(&url), suite));
                }
            }
        }
    }
    entries
}

fn clean(url: &str) -> String {
    url.trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_styles_are_understood() {
        let list = "# deb http://old.example/debian x main\n\
            deb [arch=amd64 signed-by=/k] http://one.example/debian/ trixie main # x\n\
            deb-src http://two.example/debian trixie main\n";
        assert_eq!(
            one_line(list),
            [("http://one.example/debian".into(), "trixie".into())]
        );
        let sources = "Types: deb deb-src\n# a comment\nURIs: http://one.example/debian\n\
            Suites: trixie\n trixie-updates\n\nEnabled: no\nTypes: deb\n\
            URIs: http://two.example/debian\nSuites: trixie\n";
        let found = deb822(sources);
        assert_eq!(found.len(), 2);
        assert_eq!(found[1].1, "trixie-updates");
    }

    fn entry(url: &str, suite: &str) -> Entry {
        (url.into(), suite.into())
    }

    #[test]
    fn the_security_archive_may_be_elsewhere() {
        let mirror = choose(&[
            entry("http://other.example/node", "nodistro"),
            entry("http://one.example/debian", "bookworm"),
            entry("http://two.example/debian-security", "bookworm-security"),
        ])
        .unwrap();
        assert_eq!(mirror.url(Archive::Main), "http://one.example/debian");
        assert_eq!(
            mirror.url(Archive::Security),
            "http://two.example/debian-security"
        );
        let mirror = choose(&[entry("http://one.example/debian", "bookworm")]).unwrap();
        assert_eq!(mirror, Mirror::new("http://one.example/debian/"));
    }

    #[test]
    fn a_machine_without_debian_says_so() {
        assert_eq!(choose(&[entry("http://one.example/ubuntu", "noble")]), None);
        assert_eq!(choose(&[entry("cdrom:[disc]/debian", "trixie")]), None);
    }
}
