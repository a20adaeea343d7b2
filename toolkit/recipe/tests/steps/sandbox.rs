//! What a step can and cannot do, tried from inside.

use std::fs;

use crate::support::{Bench, step};
use bastide_recipe::{Error, Input, Source};

/// Runs a script, which must succeed, and gives what it wrote to `/out/said`.
fn said(bench: &Bench, script: &str, inputs: Vec<Input>) -> String {
    let script = format!("exec 3>/out/said\n{script}");
    let output = bench.engine().run(&step(&script, inputs)).unwrap();
    fs::read_to_string(output.directory.join("said")).unwrap()
}

/// Runs a script, which must fail, and gives its last lines.
fn refused(bench: &Bench, script: &str, inputs: Vec<Input>) -> String {
    match bench.engine().run(&step(script, inputs)) {
        Err(Error::Failed(failure)) => failure.tail.join("\n"),
        other => panic!("{script:?} gave {other:?}"),
    }
}

fn inline(name: &str) -> Input {
    Input::new(name, Source::Inline(b"text\n".to_vec()))
}

#[test]
fn a_step_sees_its_sdk_and_its_inputs_and_nothing_else() {
    let bench = Bench::new();
    let directory = bench.path("tree");
    fs::create_dir(&directory).unwrap();
    fs::write(directory.join("file"), "content").unwrap();
    let inputs = vec![inline("note"), Input::new("tree", Source::Path(directory))];
    let text = said(
        &bench,
        "ls -A / /in /in/tree /tmp /work >&3; cat /in/tree/file >&3",
        inputs,
    );
    let expected = "/:\nbin\ndev\nin\nlib\nlib64\nout\nproc\ntmp\nusr\nwork\n\n\
        /in:\n.script\nnote\ntree\n\n/in/tree:\nfile\n\n/tmp:\n\n/work:\ncontent";
    assert_eq!(text, expected);
}

#[test]
fn an_undeclared_file_is_not_there() {
    let bench = Bench::new();
    let secret = bench.path("undeclared");
    fs::write(&secret, "x").unwrap();
    let tail = refused(&bench, &format!("cat {}", secret.display()), vec![]);
    assert!(tail.contains("No such file or directory"), "{tail}");
}

#[test]
fn there_is_no_network() {
    let bench = Bench::new();
    let text = said(&bench, "cat /proc/net/dev >&3", vec![]);
    let interfaces = text.lines().skip(2).collect::<Vec<_>>();
    assert_eq!(interfaces.len(), 1, "{text}");
    assert!(interfaces[0].trim_start().starts_with("lo:"), "{text}");
    let tail = refused(&bench, "echo > /dev/tcp/127.0.0.1/22", vec![]);
    assert!(tail.contains("Network is unreachable"), "{tail}");
}

#[test]
fn the_base_is_immutable_and_left_overs_are_discarded() {
    let bench = Bench::new();
    let script = "echo changed > /usr/share/base; rm /bin/uname; echo x > /usr/share/new";
    bench.engine().run(&step(script, vec![])).unwrap();
    let text = said(
        &bench,
        "cat /usr/share/base >&3; ls /usr/share >&3; ls /bin/uname >&3",
        vec![],
    );
    assert_eq!(text, "basebase\n/bin/uname\n");
    assert_eq!(
        fs::read_dir(bench.path("cache/tmp")).unwrap().count(),
        1,
        "only the sweeping lock"
    );
}

#[test]
fn inputs_cannot_be_written_or_made_writable() {
    let bench = Bench::new();
    let earlier = bench
        .engine()
        .run(&step("echo 1 > /out/one", vec![]))
        .unwrap();
    for attempt in [
        "echo 2 > /in/earlier/one",
        "chmod 777 /in/earlier",
        "rm -f /in/earlier/one",
        "mount -o remount,bind,rw /in/earlier",
        "unshare -Urm bash -ec 'mount -o remount,bind,rw /in/earlier; echo 2 > /in/earlier/one'",
        "echo 2 > /proc/sys/kernel/core_pattern",
        "mknod /work/disk b 259 0",
    ] {
        let input = Input::new("earlier", Source::Output(earlier.clone()));
        refused(&bench, attempt, vec![input]);
    }
    let file = earlier.directory.join("one");
    assert_eq!(fs::read_to_string(file).unwrap(), "1\n");
}

#[test]
fn no_process_of_the_host_is_visible() {
    let bench = Bench::new();
    let text = said(&bench, "ls -d /proc/[0-9]* >&3; echo $$ >&3", vec![]);
    // The pattern is expanded by the shell, before `ls` exists.
    assert_eq!(text, "/proc/1\n1\n");
}

#[test]
fn the_environment_is_the_step_s_own() {
    let bench = Bench::new();
    let text = said(&bench, "env | sort >&3; uname -n >&3", vec![]);
    let names = text
        .lines()
        .filter_map(|line| Some(line.split_once('=')?.0))
        .collect::<Vec<_>>();
    let expected = [
        "HOME",
        "JOBS",
        "LC_ALL",
        "PATH",
        "PWD",
        "SHLVL",
        "SOURCE_DATE_EPOCH",
        "TZ",
        "_",
    ];
    assert_eq!(names, expected);
    assert!(text.ends_with("\nbastide\n"), "{text}");
}

#[test]
fn a_secret_is_readable_but_only_its_fingerprint_is_in_the_key() {
    let bench = Bench::new();
    let path = bench.path("secret.key");
    let run = |content: &str, fingerprint: &str| {
        fs::write(&path, content).unwrap();
        let source = Source::Secret {
            path: path.clone(),
            fingerprint: fingerprint.into(),
        };
        let input = Input::new("key", source);
        bench
            .engine()
            .run(&step("cat /secret/key > /out/copy", vec![input]))
            .unwrap()
    };
    assert!(!run("one", "a").reused);
    assert!(run("two", "a").reused);
    assert!(!run("two", "b").reused);
}

#[test]
fn privileges_are_gone() {
    let bench = Bench::new();
    let text = said(
        &bench,
        "while read -r line; do case $line in Cap*|NoNew*) echo \"$line\" >&3;; esac; done < /proc/self/status",
        vec![],
    );
    let value = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        u64::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap()
    };
    // chown, dac_override, fowner, fsetid, kill
    let kept = 0b11_1011;
    assert_eq!(value("CapEff"), kept, "{text}");
    assert_eq!(value("CapBnd"), kept, "{text}");
    assert_eq!(value("CapAmb"), 0, "{text}");
    assert_eq!(value("NoNewPrivs"), 1, "{text}");
}
