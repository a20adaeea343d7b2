//! How the engine keeps, finds and replaces outputs.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Instant;

use crate::support::{Bench, step};
use bastide_recipe::{Error, Input, Source, Variation};

#[test]
fn an_unchanged_step_is_not_run_again() {
    let bench = Bench::new();
    let tree = bench.path("tree");
    fs::create_dir(&tree).unwrap();
    fs::write(tree.join("file"), "1").unwrap();
    let script = "cat /proc/sys/kernel/random/uuid > /out/random; cp /in/tree/file /out/";
    let run = || {
        let input = Input::new("tree", Source::Path(tree.clone()));
        bench.engine().run(&step(script, vec![input])).unwrap()
    };
    let random = |directory: &Path| fs::read_to_string(directory.join("random")).unwrap();
    let first = run();
    assert!(!first.reused);
    let text = random(&first.directory);
    let again = run();
    assert!(again.reused);
    assert_eq!(
        (again.key.clone(), random(&again.directory)),
        (first.key.clone(), text)
    );
    fs::write(tree.join("file"), "2").unwrap();
    let changed = run();
    assert!(!changed.reused);
    assert_ne!(changed.key, first.key);
    assert_eq!(
        fs::read_to_string(changed.directory.join("file")).unwrap(),
        "2"
    );
}

#[test]
fn outputs_are_sealed() {
    let bench = Bench::new();
    let output = bench
        .engine()
        .run(&step("mkdir /out/a; touch /out/a/b", vec![]))
        .unwrap();
    for path in ["", "a", "a/b"] {
        let metadata = fs::metadata(output.directory.join(path)).unwrap();
        assert_eq!(metadata.mode() & 0o222, 0, "{path:?} is writable");
        assert_eq!(
            metadata.mtime(),
            1_767_225_600,
            "{path:?} tells when it was made"
        );
    }
}

#[test]
fn a_failure_says_what_where_and_what_to_try() {
    let bench = Bench::new();
    let script = "for i in {1..30}; do echo line $i; done; cat /missing";
    let error = bench.engine().run(&step(script, vec![])).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("step sample failed with exit code 1"),
        "{text}"
    );
    assert!(
        text.contains("| line 30\n") && !text.contains("| line 11\n"),
        "{text}"
    );
    assert!(text.contains("a step sees only its SDK"), "{text}");
    let Error::Failed(failure) = error else {
        panic!("{text}")
    };
    let log = fs::read_to_string(failure.log).unwrap();
    assert!(log.contains("line 1\n"), "the log has all of it: {log}");
    assert_eq!(fs::read_dir(bench.path("cache/tmp")).unwrap().count(), 1);
}

#[test]
fn a_failed_command_in_the_middle_or_in_a_pipe_fails_the_step() {
    let bench = Bench::new();
    for script in [
        "cat /missing; true",
        "cat /missing | sort",
        "echo $undefined",
    ] {
        let result = bench.engine().run(&step(script, vec![]));
        assert!(
            matches!(result, Err(Error::Failed(_))),
            "{script}: {result:?}"
        );
    }
}

#[test]
fn two_builds_at_once_make_a_step_once() {
    let bench = Bench::new();
    let slow = || {
        step(
            "sleep 1; cat /proc/sys/kernel/random/uuid > /out/random",
            vec![],
        )
    };
    let outputs = std::thread::scope(|scope| {
        let runs = [0, 1].map(|_| scope.spawn(|| bench.engine().run(&slow()).unwrap()));
        runs.map(|run| run.join().unwrap())
    });
    assert_eq!(outputs.iter().filter(|output| output.reused).count(), 1);
}

#[test]
fn declared_caches_persist_unless_told_otherwise() {
    let bench = Bench::new();
    let count = |tag: &str, persist: bool| {
        let source = Source::Cache {
            name: "counter".into(),
        };
        let script = format!("echo {tag} >> /cache/kept/lines; cp /cache/kept/lines /out/");
        let input = Input::new("kept", source);
        let engine = bench.builder().declared_caches(persist).build();
        let output = engine.run(&step(&script, vec![input])).unwrap();
        fs::read_to_string(output.directory.join("lines"))
            .unwrap()
            .lines()
            .count()
    };
    assert_eq!(count("a", true), 1);
    assert_eq!(count("b", true), 2);
    assert_eq!(count("c", false), 1);
}

#[test]
fn variations_reach_the_step_but_not_its_key() {
    let bench = Bench::new();
    let tree = bench.path("tree");
    fs::create_dir(&tree).unwrap();
    for name in ["c", "a", "d", "b"] {
        fs::write(tree.join(name), name).unwrap();
    }
    let script = "touch /out/file; { pwd; echo $TZ $LC_ALL $JOBS; id -u; uname -n; ls -U /in/tree; \
        stat -c %a /out/file; } > /out/said";
    let run = |cache: &str, variation: Variation| {
        let engine = bench
            .builder_in(&bench.path(cache))
            .variation(variation)
            .build();
        let input = Input::new("tree", Source::Path(tree.clone()));
        engine.run(&step(script, vec![input])).unwrap()
    };
    let plain = run("cache", Variation::default());
    let varied = run(
        "other",
        Variation {
            time_zone: "Asia/Tokyo".into(),
            locale: "C".into(),
            umask: 0o077,
            host_name: "elsewhere".into(),
            work: "/var/else/where".into(),
            user: 1000,
            jobs: 7,
            reorder: true,
        },
    );
    assert_eq!(plain.key, varied.key);
    let said = fs::read_to_string(varied.directory.join("said")).unwrap();
    assert_eq!(
        said,
        "/var/else/where\nAsia/Tokyo C 7\n1000\nelsewhere\na\nb\nc\nd\n600\n"
    );
}

#[test]
fn a_run_without_reuse_makes_each_step_once() {
    let bench = Bench::new();
    let simple = || step("touch /out/file", vec![]);
    bench.engine().run(&simple()).unwrap();
    let engine = bench.builder().reuse(false).build();
    assert!(!engine.run(&simple()).unwrap().reused);
    assert!(engine.run(&simple()).unwrap().reused);
}

#[test]
fn a_build_with_nothing_to_do_is_fast() {
    let bench = Bench::new();
    let tree = bench.path("tree");
    fs::create_dir(&tree).unwrap();
    for number in 0..2000 {
        fs::write(tree.join(number.to_string()), vec![0; 4096]).unwrap();
    }
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let run = || {
        let input = Input::new("tree", Source::Path(tree.clone()));
        bench
            .engine()
            .run(&step("touch /out/x", vec![input]))
            .unwrap()
    };
    run();
    let start = Instant::now();
    assert!(run().reused);
    assert!(
        start.elapsed().as_millis() < 500,
        "took {:?}",
        start.elapsed()
    );
}
