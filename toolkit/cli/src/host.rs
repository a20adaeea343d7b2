//! What this machine must have before a build or a run, and getting it.

use std::fmt::Write as _;
use std::io::{BufRead, IsTerminal, Write};
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail, ensure};

/// A program or file of the host, and the Debian package that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// A program's name, or the path of a file.
    pub what: &'static str,
    /// The package.
    pub package: &'static str,
    /// What it is for.
    pub why: &'static str,
}

const fn need(what: &'static str, package: &'static str, why: &'static str) -> Need {
    Need { what, package, why }
}

/// What a build takes from the host; all else is in the SDKs.
pub const BUILD: &[Need] = &[
    need("mmdebstrap", "mmdebstrap", "makes the SDKs"),
    need(
        "/usr/share/keyrings/debian-archive-keyring.gpg",
        "debian-archive-keyring",
        "vouches for Debian's packages",
    ),
    need("/usr/lib/apt/apt-helper", "apt", "fetches packages"),
    need("dpkg-deb", "dpkg", "unpacks packages"),
    need("tar", "tar", "unpacks SDKs"),
];

/// What an ordinary user needs beside [`BUILD`].
pub const BUILD_AS_USER: &[Need] = &[need(
    "newuidmap",
    "uidmap",
    "lets an ordinary user make an SDK",
)];

/// What running a built disk needs.
pub const RUN: &[Need] = &[
    need(
        "qemu-system-x86_64",
        "qemu-system-x86",
        "is the machine that boots",
    ),
    need("swtpm", "swtpm", "is that machine's TPM"),
];

/// What the tests need beside.
pub const TEST: &[Need] = &[
    need(
        "gpg",
        "gnupg",
        "signs the small archive on which fetching is tried",
    ),
    need("swtpm", "swtpm", "is the TPM that base/tpm is tried on"),
    need(
        "tpm2_policypcr",
        "tpm2-tools",
        "judges what base/tpm computes",
    ),
    need(
        "cryptsetup",
        "cryptsetup-bin",
        "judges the LUKS2 headers that we write",
    ),
    need(
        "mke2fs",
        "e2fsprogs",
        "judges the file system that state begins as",
    ),
    need(
        "zbarimg",
        "zbar-tools",
        "reads the recovery key's QR code off the screen",
    ),
];

/// What shows how two artefacts differ.
pub const DIFFERENCES: &[Need] = &[need(
    "diffoscope",
    "diffoscope-minimal",
    "shows where two builds differ",
)];

/// What the fuzz targets need beside: libFuzzer is C++.
pub const FUZZ: &[Need] = &[need("c++", "g++", "compiles libFuzzer")];

/// Makes sure that this machine can build.
///
/// # Errors
/// As [`require`].
pub fn require_build(yes: bool) -> anyhow::Result<()> {
    if nix::unistd::geteuid().is_root() {
        require(&[BUILD], yes)
    } else {
        require(&[BUILD, BUILD_AS_USER], yes)
    }
}

/// Where programs are looked for: an ordinary user's PATH often lacks `sbin`.
const MORE_PLACES: &str = "/usr/local/sbin:/usr/sbin:/sbin";

/// Makes sure that all needs are met, installing through apt what is missing: asks
/// first, unless `yes` or it runs as root with nobody to ask.
///
/// # Errors
/// When something is missing that cannot or may not be installed; says what.
pub fn require(needs: &[&[Need]], yes: bool) -> anyhow::Result<()> {
    let all = needs.iter().flat_map(|part| part.iter()).copied();
    let absent = missing(all.clone(), present);
    if absent.is_empty() {
        return Ok(());
    }
    let list = describe(&absent);
    let packages = packages(&absent);
    let root = nix::unistd::geteuid().is_root();
    if !present("apt-get") {
        bail!(
            "this machine lacks:\n{list}\nand has no apt to install them: \
             install what has these programs, then run again"
        );
    }
    if !root && !present("sudo") {
        bail!(
            "this machine lacks:\n{list}\nas root, run: apt-get install {}",
            packages.join(" ")
        );
    }
    if !yes {
        if std::io::stdin().is_terminal() {
            eprint!("bastide: this machine lacks:\n{list}\ninstall them with apt? [Y/n] ");
            std::io::stderr().flush().context("asking")?;
            let mut answer = String::new();
            std::io::stdin()
                .lock()
                .read_line(&mut answer)
                .context("reading the answer")?;
            ensure!(
                agreed(&answer),
                "not installed; run: apt-get install {}",
                packages.join(" ")
            );
        } else if !root {
            bail!(
                "this machine lacks:\n{list}\nrun: sudo apt-get install {}, or pass --yes",
                packages.join(" ")
            );
        }
    }
    install(&packages, root, !yes && std::io::stdin().is_terminal())?;
    let still = missing(all, present);
    ensure!(
        still.is_empty(),
        "the packages are installed, but this machine still lacks:\n{}",
        describe(&still)
    );
    Ok(())
}

/// Installs packages; what is in their way is removed only where somebody agrees to that
/// apart, or answered everything with yes.
fn install(packages: &[&str], root: bool, asks: bool) -> anyhow::Result<()> {
    eprintln!("bastide: installing {}", packages.join(" "));
    let apt = |arguments: &[&str]| {
        let mut command = if root {
            Command::new("env")
        } else {
            let mut command = Command::new("sudo");
            command.arg("env");
            command
        };
        command
            .args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet"])
            .arg("--option=Dpkg::Use-Pty=0")
            .args(arguments)
            .status()
            .context("running apt-get")
    };
    let with = |options: &[&'static str]| {
        let command = ["--no-install-recommends", "install"];
        apt(&[options, &command[..], packages].concat())
    };
    const GENTLY: &[&str] = &["--yes", "--no-remove"];
    if with(GENTLY)?.success() {
        return Ok(());
    }
    // A fresh machine has no lists, an old one those of yesterday.
    ensure!(
        apt(&["update"])?.success(),
        "apt-get update failed: is the network reachable?"
    );
    if with(GENTLY)?.success() {
        return Ok(());
    }
    // Something that is installed is in the way, such as a part of QEMU in a version from
    // elsewhere. Apt shows what it would remove, and asks where there is somebody to ask.
    ensure!(
        with(if asks { &[] } else { &["--yes"] })?.success(),
        "apt-get could not install {}: see above",
        packages.join(" ")
    );
    Ok(())
}

/// The needs that are not met.
fn missing(needs: impl Iterator<Item = Need>, present: impl Fn(&str) -> bool) -> Vec<Need> {
    needs.filter(|need| !present(need.what)).collect()
}

fn present(what: &str) -> bool {
    if what.starts_with('/') {
        return Path::new(what).exists();
    }
    let path = std::env::var("PATH").unwrap_or_default();
    std::env::split_paths(&format!("{path}:{MORE_PLACES}"))
        .any(|directory| directory.join(what).is_file())
}

fn describe(needs: &[Need]) -> String {
    let mut text = String::new();
    for need in needs {
        // Writing to a String cannot fail.
        writeln!(
            text,
            "  {} ({}), which {}",
            need.what, need.package, need.why
        )
        .unwrap_or_default();
    }
    text.truncate(text.trim_end().len());
    text
}

fn packages(needs: &[Need]) -> Vec<&'static str> {
    let mut packages = needs.iter().map(|need| need.package).collect::<Vec<_>>();
    packages.sort_unstable();
    packages.dedup();
    packages
}

/// Whether an answer to `[Y/n]` is a yes.
fn agreed(answer: &str) -> bool {
    !answer.is_empty() && !answer.trim_start().to_lowercase().starts_with('n')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_with_its_package_and_reason() {
        let needs = [
            need("tar", "tar", "unpacks"),
            need("swtpm", "swtpm", "is the TPM"),
            need("swtpm_setup", "swtpm", "prepares the TPM"),
        ];
        let absent = missing(needs.into_iter(), |what| what == "tar");
        assert_eq!(packages(&absent), ["swtpm"]);
        assert_eq!(
            describe(&absent),
            "  swtpm (swtpm), which is the TPM\n  swtpm_setup (swtpm), which prepares the TPM"
        );
    }

    #[test]
    fn only_a_no_or_the_end_of_input_declines() {
        for (answer, yes) in [
            ("\n", true),
            ("y\n", true),
            ("Yes\n", true),
            ("n\n", false),
            (" No\n", false),
            ("", false),
        ] {
            assert_eq!(agreed(answer), yes, "{answer:?}");
        }
    }

    #[test]
    fn programs_are_found_in_the_path_and_in_sbin() {
        assert!(present("sh"));
        assert!(present("/bin/sh"));
        assert!(!present("no-such-program"));
    }
}
