//! A small Debian archive, signed with a key of its own, and a checkout using it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use bastide_assets::{Assets, Options};
use bastide_recipe::sha256_of_file;

/// An archive, a checkout and a cache in one temporary directory.
pub struct Bench {
    directory: tempfile::TempDir,
}

fn run(command: &mut Command) {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}; install gnupg and dpkg"));
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

impl Bench {
    /// A checkout with the set `core`, which takes `library` (and so what it depends
    /// on), and `fresh` from backports.
    pub fn new() -> Self {
        let bench = Self {
            directory: tempfile::tempdir().unwrap(),
        };
        for directory in ["gpg", "mirror/pool", "tree/products/base/sdk", "packages"] {
            fs::create_dir_all(bench.path(directory)).unwrap();
        }
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        fs::set_permissions(bench.path("gpg"), mode).unwrap();
        bench.make_key("one");
        run(bench
            .gpg()
            .args(["--output"])
            .arg(bench.path("keyring.gpg"))
            .args(["--export", "one"]));
        let debian = format!(
            "release = \"calm\"\narchitecture = \"amd64\"\nkeyring = {:?}\n\
             suites = [{{ name = \"calm\" }}, {{ name = \"calm-backports\" }}]\n",
            bench.path("keyring.gpg")
        );
        fs::write(bench.path("tree/products/base/debian.toml"), debian).unwrap();
        let definition = "description = \"x\"\nkind = \"files\"\npackages = [\"library\", \"fresh\"]\n\
             [backports]\nfresh = \"newer\"\n";
        fs::write(bench.path("tree/products/base/sdk/core.toml"), definition).unwrap();
        fs::write(bench.path("tree/Cargo.lock"), "version = 4\n").unwrap();
        bench
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn gpg(&self) -> Command {
        let mut command = Command::new("gpg");
        command
            .args(["--batch", "--yes", "--quiet", "--homedir"])
            .arg(self.path("gpg"));
        command
    }

    /// Makes a signing key of that name.
    pub fn make_key(&self, name: &str) {
        run(self.gpg().args([
            "--passphrase",
            "",
            "--quick-generate-key",
            name,
            "ed25519",
            "sign",
        ]));
    }

    /// Publishes packages (`name`, `version`, dependencies) as a suite, signed with
    /// a key; what the suite had before is gone.
    pub fn publish(&self, suite: &str, key: &str, packages: &[(&str, &str, &str)]) {
        let mirror = self.path("mirror");
        let lists = mirror.join("dists").join(suite);
        let part = "main/binary-amd64/Packages";
        fs::create_dir_all(lists.join("main/binary-amd64")).unwrap();
        let mut index = String::new();
        for (name, version, depends) in packages {
            let file = self.package(name, version, depends);
            let path = format!("pool/{}", file.file_name().unwrap().to_str().unwrap());
            fs::copy(&file, mirror.join(&path)).unwrap();
            index.push_str(&control(name, version, depends));
            index.push_str(&format!(
                "Filename: {path}\nSize: {}\nSHA256: {}\n\n",
                fs::metadata(&file).unwrap().len(),
                sha256_of_file(&file).unwrap()
            ));
        }
        fs::write(lists.join(part), &index).unwrap();
        let not_automatic = if suite.ends_with("backports") {
            "NotAutomatic: yes\nButAutomaticUpgrades: yes\n"
        } else {
            ""
        };
        let release = format!(
            "Suite: {suite}\nCodename: {suite}\n{not_automatic}Architectures: amd64\n\
             Components: main\nDate: Sun, 22 Nov 2026 00:00:00 UTC\nSHA256:\n {} {} {part}\n",
            sha256_of_file(&lists.join(part)).unwrap(),
            index.len()
        );
        let plain = lists.join("Release");
        fs::write(&plain, release).unwrap();
        run(self
            .gpg()
            .args(["--local-user", key, "--clearsign", "--output"])
            .arg(lists.join("InRelease"))
            .arg(&plain));
        fs::remove_file(plain).unwrap();
    }

    /// Removes from the pool what no suite lists any more.
    pub fn prune(&self, file: &str) {
        fs::remove_file(self.path("mirror/pool").join(file)).unwrap();
    }

    fn package(&self, name: &str, version: &str, depends: &str) -> PathBuf {
        let file = self
            .path("packages")
            .join(format!("{name}_{version}_amd64.deb"));
        if file.exists() {
            return file;
        }
        let tree = self.path("packages").join(name);
        fs::create_dir_all(tree.join("DEBIAN")).unwrap();
        fs::create_dir_all(tree.join("usr/lib")).unwrap();
        fs::write(tree.join("DEBIAN/control"), control(name, version, depends)).unwrap();
        fs::write(tree.join("usr/lib").join(name), format!("{name} {version}")).unwrap();
        run(Command::new("dpkg-deb")
            .args(["--root-owner-group", "--build"])
            .args([&tree, &file]));
        file
    }

    /// The assets of the checkout, with a cache of that name.
    pub fn assets(&self, cache: &str, locked: bool) -> Assets {
        Assets::open(Options {
            tree: self.path("tree"),
            cache: self.path(cache),
            mirror: Some(format!("file:{}", self.path("mirror").display())),
            locked,
        })
        .unwrap()
    }

    /// The usual content: both suites, signed well.
    pub fn publish_all(&self) {
        self.publish(
            "calm",
            "one",
            &[
                ("library", "1.0", "base"),
                ("base", "1.0", ""),
                ("fresh", "1.0", ""),
                ("other", "1.0", ""),
            ],
        );
        self.publish(
            "calm-backports",
            "one",
            &[("fresh", "2.0", ""), ("library", "2.0", "")],
        );
    }
}

fn control(name: &str, version: &str, depends: &str) -> String {
    let depends = if depends.is_empty() {
        String::new()
    } else {
        format!("Depends: {depends}\n")
    };
    format!(
        "Package: {name}\nVersion: {version}\nArchitecture: amd64\nSource: {name}-source\n\
         Maintainer: Nobody <nobody@invalid>\n{depends}Description: a test\n"
    )
}

/// Names and versions in a lock.
pub fn versions(assets: &Assets) -> BTreeMap<String, String> {
    let lock = assets.lock();
    let packages = lock.packages.iter();
    packages
        .map(|package| (package.name.clone(), package.version.clone()))
        .collect()
}

/// What [`versions`] should be.
pub fn expect<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
    pairs
        .map(|(name, version)| (name.to_owned(), version.to_owned()))
        .into()
}

/// Changes one byte in the middle of a file.
pub fn damage(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}
