//! The program itself as PID 1 of namespaces of its own, with services that behave
//! and services that do not.
//!
//! Needs to be root, or an ordinary user whom /etc/subuid gives uids; otherwise it
//! says that it was skipped, or fails if `BASTIDE_TEST_NAMESPACES=required`.
#![forbid(unsafe_code)]

use std::fs::{self, File, Permissions};
use std::io::Read;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags, mkfifoat};

/// Longer than a slow machine takes for all of it.
const PATIENCE: Duration = Duration::from_secs(90);

/// Reads what the service may tell about itself, then gets ready.
const IDENTITY: &str = r#"#!/usr/bin/perl
$| = 1;
open(my $status, "<", "/proc/self/status") or die;
while (<$status>) { print if /^(Uid|Gid|Groups|CapInh|CapPrm|CapEff|CapBnd|CapAmb|NoNewPrivs|Umask|NSsid|SigBlk):/; }
print "environment: ", join(" ", map { "$_=$ENV{$_}" } sort keys %ENV), "\n";
opendir(my $fds, "/proc/self/fd") or die;
my @fds = sort grep { /^\d+$/ && readlink("/proc/self/fd/$_") !~ m{^/proc/\d+/(fd|status)$} } readdir $fds;
print "descriptors: @fds\n";
open(my $group, "<", "/proc/self/cgroup") or die;
while (<$group>) { print "group: $_" if /^0::/; }
print "argument: $ARGV[0]\n";
exec "/usr/lib/bastide/ready", "identity";
"#;

/// Says READY=1 and waits for the end.
const READY: &str = r#"#!/usr/bin/perl
$| = 1;
use Socket;
socket(my $notify, PF_UNIX, SOCK_DGRAM, 0) or die;
send($notify, "READY=1\nSTATUS=well\e[2J", 0, pack_sockaddr_un($ENV{NOTIFY_SOCKET})) or die;
sleep 1 while 1;
"#;

/// Lets another process say READY=1 for it, and sends nonsense.
const LIAR: &str = r#"#!/usr/bin/perl
$| = 1;
use Socket;
if (fork() == 0) {
    socket(my $notify, PF_UNIX, SOCK_DGRAM, 0) or die;
    send($notify, $_, 0, pack_sockaddr_un($ENV{NOTIFY_SOCKET})) for ("READY=1", "", "\0" x 4000, "x" x 10000, "READY=1");
    sleep 600;
}
sleep 600;
"#;

/// Does not end when asked, and neither do its children.
const STUBBORN: &str = r#"#!/usr/bin/perl
$| = 1;
$SIG{TERM} = "IGNORE";
fork();
use Socket;
socket(my $notify, PF_UNIX, SOCK_DGRAM, 0) or die;
send($notify, "READY=1", 0, pack_sockaddr_un($ENV{NOTIFY_SOCKET})) or die;
sleep 1 while 1;
"#;

/// Leaves an orphan behind, in a session of its own, and fails.
const FLAKY: &str = r#"#!/usr/bin/perl
$| = 1;
use POSIX;
if (fork() == 0) { POSIX::setsid(); if (fork() == 0) { sleep 600; } exit; }
print "about to fail\n";
exit 3;
"#;

/// Writes without end.
const FLOOD: &str = r#"#!/usr/bin/perl
$| = 1;
print "flood\n" for 1..20000;
exec "/usr/lib/bastide/ready";
"#;

/// Calls PID 1: what it may, what it may not, and nonsense; at last, to stop.
const CALLER: &str = r#"#!/usr/bin/perl
$| = 1;
use Socket;
$SIG{PIPE} = "IGNORE";
sub call {
    my ($message) = @_;
    socket(my $bus, PF_UNIX, SOCK_STREAM, 0) or die;
    connect($bus, pack_sockaddr_un("/run/bastide/org.bastide.Init")) or die;
    syswrite($bus, $message);
    local $/ = "\0";
    my $reply = <$bus>;
    return defined $reply ? $reply =~ s/\0//r : "hung up";
}
sub report { my ($what, $text) = @_; $text =~ s/.*?"error":"([^"]*)".*/$1/; print "$what: ", substr($text, 0, 600), "\n"; }
report("reboot", call("{\"method\":\"org.bastide.Init.Reboot\"}\0"));
report("nonsense", call("hello\0"));
report("long", call("x" x 100000));
exit if $ARGV[0] eq "stranger";
my $status;
for (1..600) {
    $status = call("{\"method\":\"org.bastide.Init.GetStatus\"}\0");
    last if $status =~ /"state":"degraded"/;
    select(undef, undef, undef, 0.1);
}
my ($well) = $status =~ /"name":"good"[^}]*"status":"([^"]*)"/;
my @states = map { m/"name":"([^"]*)"/; my $name = $1; m/"state":"([a-z]*)"/; "$name=$1" } $status =~ /(\{[^{}]*"last_exit"[^{}]*\})/g;
print "states: @states\n";
print "status: $well\n";
$SIG{TERM} = "IGNORE";
report("off", call("{\"method\":\"org.bastide.Init.PowerOff\"}\0"));
"#;

/// Closes what whoever runs the tests has left open, as the kernel would: PID 1
/// refuses to hand such descriptors on.
const CLOSE: &str = "use POSIX; POSIX::close($_) for 3..1023; exec @ARGV";

struct Machine {
    root: tempfile::TempDir,
    child: Child,
    log: File,
    text: String,
}

impl Machine {
    fn boot(services: &[(&str, &str)], programs: &[(&str, &str)]) -> Option<Self> {
        let unshare = unshare()?;
        let root = tempfile::tempdir().expect("a folder");
        furnish(root.path(), services, programs);
        Some(Self::start(root, &unshare))
    }

    fn start(root: tempfile::TempDir, unshare: &[&str]) -> Self {
        let script = format!(
            "set -eu; cd {root}; mount --rbind -o ro /usr host; mount -t tmpfs none etc; \
             for name in null zero; do mount --bind /dev/$name dev/$name; done; \
             exec chroot . /usr/lib/bastide/init",
            root = root.path().display()
        );
        let log = File::options()
            .read(true)
            .write(true)
            .custom_flags(i32::try_from(OFlags::NONBLOCK.bits()).expect("fits"))
            .open(root.path().join("dev/kmsg"))
            .expect("the log");
        let child = Command::new("unshare")
            .args(unshare)
            .args(["perl", "-e", CLOSE, "sh", "-c", &script])
            .stdin(Stdio::null())
            .spawn()
            .expect("started");
        Self {
            root,
            child,
            log,
            text: String::new(),
        }
    }

    /// Collects the log until the machine is gone.
    fn run(mut self) -> String {
        let begin = Instant::now();
        let mut over = false;
        loop {
            let mut bytes = [0; 65536];
            match self.log.read(&mut bytes) {
                Ok(count) => {
                    self.text
                        .push_str(&String::from_utf8_lossy(&bytes[..count]));
                    continue;
                }
                // Non-blocking: nothing there at the moment.
                Err(_) if over => break,
                Err(_) => {}
            }
            over = self.child.try_wait().expect("a child").is_some();
            if begin.elapsed() > PATIENCE {
                self.child.kill().expect("killed");
                panic!("still running after {PATIENCE:?}:\n{}", self.text);
            }
            sleep(Duration::from_millis(20));
        }
        self.child.wait().expect("a child");
        drop(self.root);
        self.text
    }
}

fn unshare() -> Option<Vec<&'static str>> {
    let mut options = vec![
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        "--ipc",
        "--uts",
        "--net",
        "--cgroup",
    ];
    if !rustix::process::geteuid().is_root() {
        options.extend(["--map-root-user", "--map-auto"]);
    }
    let possible = Command::new("unshare")
        .args(&options)
        .arg("true")
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if possible {
        return Some(options);
    }
    let required = std::env::var_os("BASTIDE_TEST_NAMESPACES").is_some();
    assert!(!required, "namespaces cannot be made here");
    eprintln!("skipped: namespaces with several users cannot be made here");
    None
}

fn furnish(root: &Path, services: &[(&str, &str)], programs: &[(&str, &str)]) {
    for folder in [
        "usr/lib/bastide",
        "usr/share/bastide/services",
        "host",
        "dev",
        "proc",
        "sys",
        "run",
        "tmp",
        "var",
        "etc",
    ] {
        fs::create_dir_all(root.join(folder)).expect("made");
    }
    fs::set_permissions(root, Permissions::from_mode(0o755)).expect("set");
    for (link, target) in [
        ("lib", "host/lib"),
        ("lib64", "host/lib64"),
        ("bin", "host/bin"),
        ("usr/bin", "../host/bin"),
        ("usr/lib64", "../host/lib64"),
        (
            "usr/lib/x86_64-linux-gnu",
            "../../host/lib/x86_64-linux-gnu",
        ),
        ("usr/share/perl", "../../host/share/perl"),
    ] {
        symlink(target, root.join(link)).expect("linked");
    }
    for device in ["null", "zero"] {
        File::create(root.join("dev").join(device)).expect("made");
    }
    let devices = File::open(root.join("dev")).expect("a folder");
    mkfifoat(&devices, "kmsg", Mode::from_raw_mode(0o600)).expect("made");
    let folder = root.join("usr/lib/bastide");
    fs::copy(env!("CARGO_BIN_EXE_init"), folder.join("init")).expect("copied");
    for (name, text) in programs {
        fs::write(folder.join(name), text).expect("written");
        fs::set_permissions(folder.join(name), Permissions::from_mode(0o755)).expect("set");
    }
    for (name, text) in services {
        let folder = root.join("usr/share/bastide/services").join(name);
        fs::create_dir(&folder).expect("made");
        let text = format!("version = 1\ndescription = \"{name}\"\n{text}");
        fs::write(folder.join("service.toml"), text).expect("written");
    }
}

fn position(log: &str, line: &str) -> usize {
    log.find(line)
        .unwrap_or_else(|| panic!("no `{line}` in:\n{log}"))
}

fn in_order(log: &str, lines: &[&str]) {
    for pair in lines.windows(2) {
        assert!(
            position(log, pair[0]) < position(log, pair[1]),
            "`{}` is not before `{}` in:\n{log}",
            pair[0],
            pair[1]
        );
    }
}

#[test]
fn services_are_confined_supervised_and_stopped_whatever_they_do() {
    let as_serial = "user = \"console-serial\"\n";
    let as_screen = "user = \"console-screen\"\n";
    let notify = "readiness = \"notify\"\n";
    let started = "readiness = \"started\"\n";
    let program = |name: &str| format!("program = \"/usr/lib/bastide/{name}\"\n");
    let never = "restart = { when = \"never\" }\n";
    let services = [
        (
            "identity",
            program("identity")
                + as_serial
                + notify
                + "arguments = [\"one two\"]\nwatchdog-seconds = 300\n[environment]\nTERM = \"dumb\"\n",
        ),
        (
            "keeper",
            program("identity")
                + as_screen
                + notify
                + "arguments = [\"kept\"]\n[[capabilities]]\nname = \"CAP_SYS_TIME\"\nwhy = \"tries what is kept\"\n[resources]\nopen-files = 33\n",
        ),
        ("good", program("ready") + as_serial + notify),
        (
            "after",
            program("ready") + as_screen + notify + "needs = [\"good\"]\n",
        ),
        (
            "liar",
            program("liar") + as_screen + notify + "start-timeout-seconds = 2\n" + never,
        ),
        (
            "stubborn",
            program("stubborn") + as_screen + notify + "stop-timeout-seconds = 1\n",
        ),
        (
            "flaky",
            program("flaky")
                + as_screen
                + notify
                + "restart = { when = \"always\", first-delay-milliseconds = 50, limit = 2 }\n",
        ),
        (
            "blocked",
            program("ready") + as_screen + notify + "needs = [\"flaky\"]\n",
        ),
        ("flood", program("flood") + as_screen + notify),
        (
            "missing",
            program("nothing-here") + as_screen + notify + never,
        ),
        ("bad", "colour = \"red\"\n".to_owned()),
        (
            "stranger",
            program("caller")
                + as_screen
                + started
                + never
                + "arguments = [\"stranger\"]\nneeds = [\"good\"]\n",
        ),
        (
            "caller",
            program("caller")
                + as_serial
                + started
                + never
                + "arguments = [\"known\"]\nneeds = [\"good\", \"stranger\"]\n[[calls]]\ninterface = \"org.bastide.Init\"\nmethods = [\"GetStatus\", \"PowerOff\"]\nwhy = \"tries what it may\"\n",
        ),
    ];
    let services: Vec<(&str, &str)> = services
        .iter()
        .map(|(name, text)| (*name, text.as_str()))
        .collect();
    let programs = [
        ("identity", IDENTITY),
        ("ready", READY),
        ("liar", LIAR),
        ("stubborn", STUBBORN),
        ("flaky", FLAKY),
        ("flood", FLOOD),
        ("caller", CALLER),
    ];
    let Some(machine) = Machine::boot(&services, &programs) else {
        return;
    };
    let log = machine.run();

    // Confinement.
    for line in [
        "identity: Uid: 501 501 501 501",
        "identity: Gid: 501 501 501 501",
        "identity: CapInh: 0000000000000000",
        "identity: CapPrm: 0000000000000000",
        "identity: CapEff: 0000000000000000",
        "identity: CapBnd: 0000000000000000",
        "identity: CapAmb: 0000000000000000",
        "identity: NoNewPrivs: 1",
        "identity: Umask: 0077",
        "identity: SigBlk: 0000000000000000",
        "identity: environment: NOTIFY_SOCKET=/run/bastide/notify TERM=dumb WATCHDOG_USEC=300000000",
        "identity: descriptors: 0 1 2",
        "identity: group: 0::/services/identity",
        "identity: argument: one two",
        "keeper: Uid: 502 502 502 502",
        "keeper: CapEff: 0000000002000000",
        "keeper: CapBnd: 0000000002000000",
        "keeper: CapAmb: 0000000002000000",
    ] {
        position(&log, line);
    }
    // Order and readiness; a word from another process does not count.
    in_order(
        &log,
        &[
            "service good ready",
            "service after started",
            "service after ready",
        ],
    );
    in_order(
        &log,
        &[
            "service liar started",
            "service liar not ready within 2 s",
            "service liar failed",
        ],
    );
    assert!(!log.contains("service liar ready"));
    // Failures stay where they are, and are told.
    in_order(
        &log,
        &[
            "flaky: about to fail",
            "service flaky ended: exit status 3; starting it again in 0.05 s",
            "starting it again in 0.10 s",
            "service flaky failed: exit status 3; started again 2 times",
            "service blocked blocked: needs flaky, which has failed",
        ],
    );
    position(
        &log,
        "missing: cannot execute /usr/lib/bastide/nothing-here",
    );
    position(&log, "service missing failed: exit status 203");
    position(&log, "service bad failed: ");
    position(&log, "`colour`: unknown field `colour`");
    position(&log, "degraded: without bad, blocked, flaky, liar, missing");
    assert!(!log.contains("bastide: ready"));
    // A flood is counted, not passed on.
    assert!(log.matches("flood: flood").count() <= 200, "{}", log.len());
    position(&log, "service flood ready");
    // Calls.
    let denied = "org.varlink.service.PermissionDenied";
    position(&log, &format!("stranger: reboot: {denied}"));
    position(&log, &format!("stranger: nonsense: {denied}"));
    position(&log, &format!("caller: reboot: {denied}"));
    position(&log, "caller: nonsense: hung up");
    position(&log, "caller: long: hung up");
    for state in [
        "good=ready",
        "flaky=failed",
        "blocked=blocked",
        "liar=failed",
        "stranger=finished",
        "flood=ready",
    ] {
        let states = &log[position(&log, "caller: states: ")..];
        assert!(states.contains(state), "{state} in {states}");
    }
    position(&log, "caller: status: well [2J");
    position(&log, "caller: off: {\"parameters\":{}}");
    // The end.
    in_order(
        &log,
        &[
            "stopping: power off",
            "service after stopped",
            "service good stopped",
        ],
    );
    in_order(
        &log,
        &[
            "service stubborn did not end when asked; killing it",
            "service stubborn stopped (signal 9)",
            "goodbye: power off",
        ],
    );
    assert!(!log.contains("cannot go on"), "{log}");
}

#[test]
fn a_pid_one_that_cannot_go_on_says_why_and_reboots() {
    let Some(unshare) = unshare() else {
        return;
    };
    let root = tempfile::tempdir().expect("a folder");
    furnish(root.path(), &[], &[]);
    fs::remove_dir(root.path().join("usr/share/bastide/services")).expect("removed");
    let log = Machine::start(root, &unshare).run();
    let line = &log[position(&log, "PID 1 cannot go on: ")..];
    assert!(
        line.contains("cannot list /usr/share/bastide/services: ") && line.contains("; rebooting"),
        "{log}"
    );
}
