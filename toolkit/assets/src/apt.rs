//! A root of apt's own, apart from the host's: its lists, its suites. The host's
//! proxies apply, its packages do not.

use std::cell::OnceCell;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use bastide_recipe::files;

use crate::definition::{Debian, Definition, Kind, newest};
use crate::lock::{Lock, Package};
use crate::mirror::Mirror;
use crate::{Error, control, program};

/// Name, version and architecture.
type Identity = (String, String, String);

/// The private apt root, with the suites of one release.
pub(crate) struct Apt<'assets> {
    directory: PathBuf,
    debian: &'assets Debian,
    /// Versions kept where they are still to be had.
    pinned: Option<&'assets Lock>,
    /// Suites with their indexes, read once.
    indexes: OnceCell<Vec<(String, String)>>,
}

impl<'assets> Apt<'assets> {
    /// Prepares the root below `cache` and fetches the lists, checking signatures.
    /// `pinned` keeps the versions of a lock wherever the mirror, or `local` (a
    /// repository of packages already fetched and checked), still has them.
    pub(crate) fn new(
        cache: &Path,
        debian: &'assets Debian,
        mirror: &Mirror,
        pinned: Option<(&'assets Lock, &Path)>,
    ) -> Result<Self, Error> {
        let apt = Self {
            directory: cache.join("apt"),
            debian,
            pinned: pinned.map(|(lock, _)| lock),
            indexes: OnceCell::new(),
        };
        for directory in [
            "etc/apt.conf.d",
            "etc/preferences.d",
            "etc/trusted.gpg.d",
            "state/lists/partial",
            "cache/archives/partial",
        ] {
            let path = apt.directory.join(directory);
            fs::create_dir_all(&path).map_err(Error::file("create", &path))?;
        }
        files::write_atomically(&apt.directory.join("status"), b"")?;
        let mut sources = String::new();
        if let Some((_, local)) = pinned {
            // Its packages were checked against the lock one by one.
            sources.push_str(&format!(
                "deb [trusted=yes] copy:{} {} main\n",
                local.display(),
                debian.release
            ));
        }
        for suite in &debian.suites {
            sources.push_str(&format!(
                "deb [signed-by={}] {} {} main\n",
                debian.keyring.display(),
                mirror.url(suite.archive),
                suite.name
            ));
        }
        files::write_atomically(&apt.directory.join("etc/sources.list"), sources.as_bytes())?;
        apt.run("apt-get", |command| {
            command.args(["--error-on=any", "update"])
        })?;
        Ok(apt)
    }

    fn run(
        &self,
        name: &'static str,
        configure: impl FnOnce(&mut Command) -> &mut Command,
    ) -> Result<String, Error> {
        let set = |command: &mut Command, name: &str, value: &str| {
            command.arg("-o").arg(format!("{name}={value}"));
        };
        let path = |name: &str| self.directory.join(name).display().to_string();
        let output = program::output(name, "apt", |command| {
            for (option, value) in [
                ("Dir::State", path("state")),
                ("Dir::State::status", path("status")),
                ("Dir::Cache", path("cache")),
                ("Dir::Etc", path("etc")),
                ("Dir::Etc::sourcelist", path("etc/sources.list")),
                ("Dir::Etc::sourceparts", "-".into()),
                ("Dir::Etc::preferencesparts", path("etc/preferences.d")),
                ("APT::Architecture", self.debian.architecture.clone()),
                ("APT::Architectures", self.debian.architecture.clone()),
                ("APT::Install-Recommends", "false".into()),
                ("APT::Install-Suggests", "false".into()),
                ("Acquire::Languages", "none".into()),
                // The cache is the user's; apt's own user could not write there.
                ("APT::Sandbox::User", String::new()),
            ] {
                set(command, option, &value);
            }
            configure(command)
        })?;
        Ok(String::from_utf8_lossy(&output).into_owned())
    }

    /// The packages of a definition with all they depend on.
    pub(crate) fn resolve(
        &self,
        name: &str,
        definition: &Definition,
    ) -> Result<Vec<Package>, Error> {
        self.prefer(definition)?;
        let mut wanted = Vec::new();
        for package in &definition.packages {
            if !package.ends_with('*') {
                wanted.push(package.clone());
                continue;
            }
            let names = self.run("apt-cache", |command| {
                command.args(["pkgnames", package.trim_end_matches('*')])
            })?;
            let found = newest(package, names.lines()).ok_or_else(|| Error::NoPackage {
                sdk: name.into(),
                package: package.clone(),
                suite: self.debian.release.clone(),
            })?;
            wanted.push(found.to_owned());
        }
        if definition.kind == Kind::System {
            // Apt calls itself essential, but no step installs anything.
            wanted.push("?and(?essential, ?not(?exact-name(apt)))".into());
        }
        let plan = self.run("apt-get", |command| {
            command
                .args(["--simulate", "--quiet", "--no-remove", "install"])
                .args(&wanted)
        })?;
        let chosen = plan.lines().filter_map(planned).collect::<HashSet<_>>();
        self.describe(name, chosen)
    }

    /// Writes which versions are preferred: kept ones first, then those that the
    /// definition takes from backports.
    fn prefer(&self, definition: &Definition) -> Result<(), Error> {
        let mut text = String::new();
        for package in self.pinned.iter().flat_map(|lock| &lock.packages) {
            text.push_str(&format!(
                "Package: {}\nPin: version {}\nPin-Priority: 1001\n\n",
                package.name, package.version
            ));
        }
        for pattern in definition.backports.keys() {
            text.push_str(&format!(
                "Package: {pattern}\nPin: release n={}-backports\nPin-Priority: 990\n\n",
                self.debian.release
            ));
        }
        let path = self.directory.join("etc/preferences.d/bastide");
        Ok(files::write_atomically(&path, text.as_bytes())?)
    }

    /// What the signed indexes (or the lock that is kept to) say of packages.
    fn describe(&self, sdk: &str, mut chosen: HashSet<Identity>) -> Result<Vec<Package>, Error> {
        let mut packages = Vec::new();
        let known = self
            .pinned
            .iter()
            .flat_map(|lock| &lock.packages)
            .map(|package| (identity(package), package))
            .collect::<HashMap<_, _>>();
        let sdks = BTreeSet::from([sdk.to_owned()]);
        chosen.retain(|chosen| match known.get(chosen) {
            Some(package) => {
                let mut package = (*package).clone();
                package.sdks = sdks.clone();
                packages.push(package);
                false
            }
            None => true,
        });
        for (suite, index) in self.indexes()? {
            if chosen.is_empty() {
                break;
            }
            for stanza in control::stanzas(index) {
                if let Some(package) = described(&stanza, suite, &sdks)
                    && chosen.remove(&identity(&package))
                {
                    packages.push(package);
                }
            }
        }
        match chosen.into_iter().next() {
            None => Ok(packages),
            Some((package, version, _)) => Err(Error::NoPackage {
                sdk: sdk.to_owned(),
                package: format!("{package} {version}"),
                suite: self.debian.release.clone(),
            }),
        }
    }
}

impl Apt<'_> {
    fn indexes(&self) -> Result<&[(String, String)], Error> {
        if let Some(indexes) = self.indexes.get() {
            return Ok(indexes);
        }
        let targets = self.run("apt-get", |command| {
            command.args([
                "indextargets",
                "--format",
                "$(CODENAME) $(FILENAME)",
                "Created-By: Packages",
            ])
        })?;
        let mut indexes = Vec::new();
        for (suite, file) in targets.lines().filter_map(|line| line.split_once(' ')) {
            let helper = "/usr/lib/apt/apt-helper";
            let text = program::output(helper, "apt", |command| command.args(["cat-file", file]))?;
            let text = String::from_utf8_lossy(&text).into_owned();
            indexes.push((suite.to_owned(), text));
        }
        Ok(self.indexes.get_or_init(|| indexes))
    }
}

fn identity(package: &Package) -> Identity {
    (
        package.name.clone(),
        package.version.clone(),
        package.architecture.clone(),
    )
}

/// One line of a simulated installation:
/// `Inst libc6 (2.41-12 Debian:13.7/stable [amd64]) []`.
fn planned(line: &str) -> Option<Identity> {
    let (name, rest) = line.strip_prefix("Inst ")?.split_once(' ')?;
    let inner = rest.split_once('(')?.1.split_once(')')?.0;
    let version = inner.split_whitespace().next()?;
    let architecture = inner.rsplit_once('[')?.1.trim_end_matches(']');
    let name = name.split(':').next()?;
    Some((name.into(), version.into(), architecture.into()))
}

fn described(
    stanza: &control::Stanza<'_>,
    suite: &str,
    sdks: &BTreeSet<String>,
) -> Option<Package> {
    let name = stanza.get("Package")?;
    let version = stanza.get("Version")?;
    // `Source: name (version)`, each part only where it differs.
    let source = match stanza.get("Source") {
        None => format!("{name} {version}"),
        Some(source) => match source.split_once(" (") {
            Some((source, other)) => format!("{source} {}", other.trim_end_matches(')')),
            None => format!("{source} {version}"),
        },
    };
    Some(Package {
        name: name.into(),
        version: version.into(),
        architecture: stanza.get("Architecture")?.into(),
        source,
        suite: suite.into(),
        path: stanza.get("Filename")?.into(),
        size: stanza.get("Size")?.parse().ok()?,
        sha256: stanza.get("SHA256")?.into(),
        sdks: sdks.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_read() {
        let identity = |a: &str, b: &str, c: &str| Some((a.into(), b.into(), c.into()));
        assert_eq!(
            planned("Inst libc6 (2.41-12+deb13u4 Debian:13.7/stable [amd64]) []"),
            identity("libc6", "2.41-12+deb13u4", "amd64")
        );
        assert_eq!(
            planned("Inst tzdata (2025b-4 Debian:13.7/stable, Debian:13-updates [all])"),
            identity("tzdata", "2025b-4", "all")
        );
        assert_eq!(
            planned("Conf libc6 (2.41 Debian:13.7/stable [amd64])"),
            None
        );
    }

    #[test]
    fn the_source_package_is_found() {
        let text = "Package: a\nVersion: 2\nArchitecture: all\nFilename: p/a.deb\nSize: 1\n\
            SHA256: 00\nSource: b (1)\n\nPackage: c\nVersion: 2\nArchitecture: all\n\
            Filename: p/c.deb\nSize: 1\nSHA256: 00\n";
        let sources = control::stanzas(text)
            .map(|stanza| described(&stanza, "s", &BTreeSet::new()).unwrap().source)
            .collect::<Vec<_>>();
        assert_eq!(sources, ["b 1", "c 2"]);
    }
}
