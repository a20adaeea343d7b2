//! What goes from one machine to another, and what is refused on the way.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::{Bench, damage};
use bastide_assets::Error;
use sha2::{Digest, Sha256};

/// A bench with a lock, one crate, and the archive of both.
fn exported() -> Bench {
    let bench = Bench::new();
    bench.publish_all();
    let sum = hex::encode(Sha256::digest(b"a crate"));
    let lock = format!(
        "version = 4\n[[package]]\nname = \"own\"\nversion = \"1.0.0\"\n\n\
         [[package]]\nname = \"taken\"\nversion = \"1.0.0\"\nchecksum = \"{sum}\"\n"
    );
    fs::write(bench.path("tree/Cargo.lock"), lock).unwrap();
    let place = bench.path("cache/assets").join(sum);
    fs::create_dir_all(&place).unwrap();
    fs::write(place.join("taken-1.0.0.crate"), b"a crate").unwrap();
    let assets = bench.assets("cache", false);
    assets.relock().unwrap();
    let exchanged = assets.export(&bench.path("archive")).unwrap();
    assert_eq!((exchanged.packages, exchanged.crates), (3, 1));
    // From here on, nothing but the archive.
    fs::remove_dir_all(bench.path("mirror")).unwrap();
    bench
}

/// Unpacks the archive, lets `change` at it, and packs it again.
fn repack(bench: &Bench, change: impl Fn(&Path)) {
    let place = bench.path("repacked");
    fs::create_dir(&place).unwrap();
    let tar = |option: &str, rest: &[&str]| {
        let mut command = Command::new("tar");
        command
            .arg(option)
            .arg(bench.path("archive"))
            .arg("-C")
            .arg(&place)
            .args(rest);
        assert!(command.status().unwrap().success());
    };
    tar("-xf", &[]);
    change(&place);
    tar("-cf", &["."]);
    // `tar -c .` names members `./assets`, which would not even be looked at.
    tar("-cf", &["assets", "bastide.lock", "Cargo.lock"]);
}

/// The file of that name in an unpacked archive.
fn find(place: &Path, name: &str) -> std::path::PathBuf {
    fs::read_dir(place.join("assets"))
        .unwrap()
        .map(|entry| entry.unwrap().path().join(name))
        .find(|path| path.exists())
        .unwrap()
}

#[test]
fn an_import_is_all_that_a_machine_without_network_needs() {
    let bench = exported();
    let assets = bench.assets("elsewhere", true);
    let exchanged = assets.import(&bench.path("archive")).unwrap();
    assert_eq!((exchanged.packages, exchanged.crates), (3, 1));
    assert_eq!(assets.fetch().unwrap(), 3);
    assets.files("core").unwrap();
    // Exported again it is the same archive, bit for bit.
    assets.export(&bench.path("again")).unwrap();
    assert_eq!(
        fs::read(bench.path("archive")).unwrap(),
        fs::read(bench.path("again")).unwrap()
    );
}

#[test]
fn a_changed_package_or_crate_is_refused() {
    for name in ["base_1.0_amd64.deb", "taken-1.0.0.crate"] {
        let bench = exported();
        repack(&bench, |place| damage(&find(place, name)));
        let result = bench
            .assets("elsewhere", true)
            .import(&bench.path("archive"));
        assert!(
            matches!(result, Err(Error::Hash { .. })),
            "{name}: {result:?}"
        );
    }
}

#[test]
fn a_link_in_an_archive_is_not_followed() {
    let bench = exported();
    repack(&bench, |place| {
        let file = find(place, "base_1.0_amd64.deb");
        fs::rename(&file, bench.path("outside")).unwrap();
        std::os::unix::fs::symlink(bench.path("outside"), file).unwrap();
    });
    let result = bench
        .assets("elsewhere", true)
        .import(&bench.path("archive"));
    assert!(
        matches!(result, Err(Error::Incomplete { .. })),
        "{result:?}"
    );
}

#[test]
fn an_incomplete_archive_names_what_it_lacks() {
    let bench = exported();
    repack(&bench, |place| {
        fs::remove_file(find(place, "fresh_2.0_amd64.deb")).unwrap()
    });
    let result = bench
        .assets("elsewhere", true)
        .import(&bench.path("archive"));
    let Err(Error::Incomplete { names }) = result else {
        panic!("{result:?}")
    };
    assert_eq!(names, ["fresh_2.0_amd64.deb"]);
}
