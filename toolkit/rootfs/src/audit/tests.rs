use std::os::unix::fs::symlink;

use super::*;

/// A tree with one data file, and the audit's verdict after `spoil`.
fn verdict(known: &[&str], spoil: impl FnOnce(&Path)) -> Verdict {
    let tree = tempfile::tempdir().expect("temporary directory");
    let put = |path: &str| {
        let path = tree.path().join(path);
        fs::create_dir_all(path.parent().expect("parent")).expect("directories");
        fs::write(&path, b"data").expect("file");
        mode(&path, 0o644);
    };
    put("usr/lib/os-release");
    spoil(tree.path());
    let mut expected = Expected::default();
    for path in ["usr", "usr/lib", "usr/lib/os-release"].iter().chain(known) {
        expected.known.insert((*path).to_owned());
    }
    audit(tree.path(), &expected).expect("readable tree")
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("mode");
}

fn faults(verdict: &Verdict) -> Vec<String> {
    verdict.violations.iter().map(ToString::to_string).collect()
}

#[test]
fn a_clean_tree_has_no_fault() {
    let verdict = verdict(&["etc", "etc/os-release"], |tree| {
        fs::create_dir(tree.join("etc")).expect("etc");
        symlink("../usr/lib/os-release", tree.join("etc/os-release")).expect("link");
    });
    assert_eq!(faults(&verdict), Vec::<String>::new());
    assert_eq!(verdict.files, 1);
}

#[test]
fn set_uid_and_writable_files_are_faults() {
    for (bits, word) in [
        (0o4644, "set-uid"),
        (0o2644, "set-gid"),
        (0o666, "writable"),
    ] {
        let verdict = verdict(&[], |tree| mode(&tree.join("usr/lib/os-release"), bits));
        assert!(faults(&verdict)[0].contains(word), "{bits:o}");
    }
    let verdict = verdict(&["tmp"], |tree| {
        fs::create_dir(tree.join("tmp")).expect("tmp");
        mode(&tree.join("tmp"), 0o1777);
    });
    assert!(faults(&verdict)[0].starts_with("tmp: is writable"));
}

#[test]
fn an_executable_nobody_planned_is_a_fault() {
    let verdict = verdict(&["usr/lib/tool"], |tree| {
        fs::write(tree.join("usr/lib/tool"), b"data").expect("file");
        mode(&tree.join("usr/lib/tool"), 0o755);
    });
    let faults = faults(&verdict);
    assert!(
        faults
            .iter()
            .any(|fault| fault.contains("neither a program of ours"))
    );
    assert!(
        faults
            .iter()
            .any(|fault| fault.contains("without being an ELF file"))
    );
}

#[test]
fn scripts_and_unknown_files_are_faults() {
    let verdict = verdict(&[], |tree| {
        fs::write(tree.join("usr/lib/hook"), b"#!/bin/sh\n").expect("file");
        mode(&tree.join("usr/lib/hook"), 0o644);
    });
    let faults = faults(&verdict);
    assert!(faults.iter().any(|fault| fault.contains("is a script")));
    assert!(
        faults
            .iter()
            .any(|fault| fault.contains("of no known origin"))
    );
}

#[test]
fn an_interpreter_is_found_by_its_name_even_when_planned() {
    for found in ["bash", "python3.13", "ld", "gcc-14", "busybox"] {
        assert!(is_interpreter(Path::new(found)), "{found}");
    }
    for passed in ["init", "console", "libc.so.6", "shadow", "bashful"] {
        assert!(!is_interpreter(Path::new(passed)), "{passed}");
    }
}

#[test]
fn links_must_end_inside_the_tree() {
    for (target, good) in [
        ("os-release", true),
        ("/usr/lib/os-release", true),
        ("../../../etc/passwd", false),
        ("absent", false),
        ("link", false),
    ] {
        let verdict = verdict(&["usr/lib/link"], |tree| {
            symlink(target, tree.join("usr/lib/link")).expect("link");
        });
        assert_eq!(verdict.violations.is_empty(), good, "{target}");
    }
}

#[test]
fn an_exception_that_nothing_needs_is_a_fault() {
    let tree = tempfile::tempdir().expect("temporary directory");
    let expected = Expected {
        exceptions: vec![Exception {
            file: "usr/lib/x.so".to_owned(),
            property: Property::BindNow,
            reason: "was so once".to_owned(),
        }],
        ..Expected::default()
    };
    let verdict = audit(tree.path(), &expected).expect("readable tree");
    assert!(faults(&verdict)[0].contains("let off bind-now"));
}
