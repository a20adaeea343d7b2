//! Locking and fetching from a mirror that is honest, moves on, or lies.

use std::fs;

use crate::support::{Bench, damage, expect, versions};
use bastide_assets::Error;

#[test]
fn a_lock_holds_what_is_asked_for_and_what_that_needs() {
    let bench = Bench::new();
    bench.publish_all();
    let assets = bench.assets("cache", false);
    let changes = assets.relock().unwrap();
    assert_eq!(changes.added.len(), 3);
    assert_eq!(
        versions(&assets),
        expect([("base", "1.0"), ("fresh", "2.0"), ("library", "1.0")])
    );
    let lock = assets.lock();
    let fresh = lock
        .packages
        .iter()
        .find(|package| package.name == "fresh")
        .unwrap();
    assert_eq!(
        (fresh.suite.as_str(), fresh.source.as_str()),
        ("calm-backports", "fresh-source 2.0")
    );
    assert_eq!(bench.assets("cache", true).lock(), lock);
}

#[test]
fn a_suite_signed_by_another_key_is_refused() {
    let bench = Bench::new();
    bench.publish_all();
    bench.make_key("two");
    bench.publish("calm", "two", &[("library", "1.0", "")]);
    let result = bench.assets("cache", false).relock();
    assert!(matches!(result, Err(Error::Failed { .. })), "{result:?}");
    assert!(!bench.path("tree/bastide.lock").exists());
}

#[test]
fn files_are_unpacked_with_their_origins() {
    let bench = Bench::new();
    bench.publish_all();
    bench.assets("cache", false).relock().unwrap();
    let set = bench.assets("cache", true).files("core").unwrap();
    assert_eq!(
        fs::read_to_string(set.directory.join("usr/lib/fresh")).unwrap(),
        "fresh 2.0"
    );
    let fresh = set
        .packages
        .iter()
        .find(|package| package.name == "fresh")
        .unwrap();
    assert_eq!(fresh.files, ["usr/lib/fresh"]);
    // The second time nothing is fetched.
    fs::remove_dir_all(bench.path("mirror")).unwrap();
    assert_eq!(
        bench.assets("cache", true).files("core").unwrap().key,
        set.key
    );
}

#[test]
fn a_definition_changed_after_locking_is_noticed() {
    let bench = Bench::new();
    bench.publish_all();
    bench.assets("cache", false).relock().unwrap();
    let path = bench.path("tree/products/base/sdk/core.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("# A comment changes nothing.\n{text}")).unwrap();
    bench.assets("cache", true).files("core").unwrap();
    fs::write(&path, text.replace("\"library\"", "\"library\", \"other\"")).unwrap();
    let result = bench.assets("cache", true).files("core");
    assert!(matches!(result, Err(Error::Stale { .. })), "{result:?}");
}

#[test]
fn what_is_no_longer_served_is_replaced_and_all_else_is_kept() {
    let bench = Bench::new();
    bench.publish_all();
    bench.assets("cache", false).relock().unwrap();
    // `base` moves on and now needs `other`; `fresh` moves on, but is served still.
    bench.publish(
        "calm",
        "one",
        &[
            ("library", "1.0", "base"),
            ("base", "1.1", "other"),
            ("other", "1.0", ""),
        ],
    );
    bench.publish(
        "calm-backports",
        "one",
        &[("fresh", "3.0", ""), ("fresh", "2.0", "")],
    );
    bench.prune("base_1.0_amd64.deb");

    let result = bench.assets("locked", true).files("core");
    let Err(Error::Gone { packages }) = result else {
        panic!("{result:?}")
    };
    assert_eq!(packages, ["base 1.0 (amd64)"]);

    let assets = bench.assets("cache", false);
    let set = assets.files("core").unwrap();
    assert_eq!(
        fs::read_to_string(set.directory.join("usr/lib/base")).unwrap(),
        "base 1.1"
    );
    let replaced = expect([
        ("base", "1.1"),
        ("fresh", "2.0"),
        ("library", "1.0"),
        ("other", "1.0"),
    ]);
    assert_eq!(versions(&assets), replaced);
    // The tree's lock is not touched, and a later run needs no mirror.
    fs::remove_dir_all(bench.path("mirror")).unwrap();
    assert_eq!(
        bench.assets("cache", false).files("core").unwrap().key,
        set.key
    );
    assert_eq!(versions(&bench.assets("cache", true))["base"], "1.0");
}

#[test]
fn what_was_fetched_before_is_kept_though_the_mirror_moved_on() {
    let bench = Bench::new();
    bench.publish_all();
    bench.assets("cache", false).relock().unwrap();
    bench.assets("cache", true).fetch().unwrap();
    bench.publish(
        "calm",
        "one",
        &[("library", "1.1", "base"), ("base", "1.1", "")],
    );
    bench.prune("library_1.0_amd64.deb");
    bench.prune("base_1.0_amd64.deb");
    // One of the two was lost here as well.
    let assets = bench.assets("cache", false);
    let lock = assets.lock();
    let base = lock
        .packages
        .iter()
        .find(|package| package.name == "base")
        .unwrap();
    fs::remove_dir_all(bench.path("cache/assets").join(&base.sha256)).unwrap();
    assets.files("core").unwrap();
    assert_eq!(
        versions(&assets),
        expect([("base", "1.1"), ("fresh", "2.0"), ("library", "1.0")])
    );
}

#[test]
fn a_changed_package_is_refused() {
    let bench = Bench::new();
    bench.publish_all();
    bench.assets("cache", false).relock().unwrap();
    damage(&bench.path("mirror/pool/base_1.0_amd64.deb"));
    let result = bench.assets("cache", false).files("core");
    assert!(matches!(result, Err(Error::Corrupt { .. })), "{result:?}");
}
