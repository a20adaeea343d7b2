//! The program itself as PID 1 of namespaces of its own, with services that behave
//! and services that do not.
//!
//! Services are scripts, whose interpreter Landlock would refuse: it is the one part of
//! the sandbox that is left out here and tried in virtual machines only.
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
while (<$status>) { print if /^(Uid|Gid|Groups|CapInh|CapPrm|CapEff|CapBnd|CapAmb|NoNewPrivs|Seccomp|Umask|NSpid|NSsid|SigBlk):/; }
print "environment: ", join(" ", map { "$_=$ENV{$_}" } sort keys %ENV), "\n";
opendir(my $fds, "/proc/self/fd") or die;
my @fds = sort grep { /^\d+$/ && readlink("/proc/self/fd/$_") !~ m{^/proc/\d+/(fd|status)$} } readdir $fds;
print "descriptors: @fds\n";
open(my $group, "<", "/proc/self/cgroup") or die;
while (<$group>) { print "group: $_" if /^0::/; }
print "argument: $ARGV[0]\n";
exec "/usr/lib/bastide/ready", "identity";
"#;

/// Says READY=1 and waits for the end. As the first process of its namespace it is
/// not ended by a signal that it does not handle.
const READY: &str = r#"#!/usr/bin/perl
$| = 1;
$SIG{TERM} = sub { exit };
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
    connect($bus, pack_sockaddr_un("/run/bastide/org.bastide.Init")) or return "cannot connect: $!";
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

const DEVICES: [&str; 5] = ["null", "zero", "full", "random", "urandom"];

/// Closes what whoever runs the tests has left open, as the kernel would: PID 1
/// refuses to hand such descriptors on.
const CLOSE: &str = "use POSIX; POSIX::close($_) for 3..1023; exec @ARGV";

/// What an interpreter and these scripts need.
const ALLOWED: &str = r#"
[[system-calls]]
allow = ["@base", "@processes", "@connect", "@serve", "@terminal", "@files"]
why = "scripts start others and talk to PID 1"

[[address-families]]
family = "unix"
why = "scripts talk to PID 1"
"#;

/// Lets go of the old root: umount2(2) with `MNT_DETACH`, which umount(8) cannot do
/// without /proc.
const LEAVE: &str =
    r#"my $old = "/old"; syscall(166, $old, 2) == 0 or die "old root: $!"; exec @ARGV"#;

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
        Self::start_after(root, unshare, "")
    }

    /// `first`: what a shell does in the root before PID 1 starts.
    fn start_after(root: tempfile::TempDir, unshare: &[&str], first: &str) -> Self {
        let script = format!(
            "set -eu; mount --bind {root} {root}; cd {root}; mount --rbind -o ro /usr usr/host; {first} \
             for name in {devices}; do mount --bind /dev/$name dev/$name; done; \
             pivot_root . old; exec perl -e '{LEAVE}' /usr/lib/bastide/init --without-landlock",
            devices = DEVICES.join(" "),
            root = root.path().display()
        );
        let log = File::options()
            .read(true)
            .write(true)
            .custom_flags(i32::try_from(OFlags::NONBLOCK.bits()).expect("fits"))
            .open(root.path().join("dev/kmsg"))
            .expect("the log");
        let child = Command::new("unshare")
            .env("LC_ALL", "C")
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

    /// Collects the log until it holds a line.
    fn wait_for(&mut self, line: &str) {
        self.collect(|machine| machine.text.contains(line));
    }

    /// Collects the log until the machine is gone.
    fn run(mut self) -> String {
        self.collect(|_| false);
        self.child.wait().expect("a child");
        drop(self.root);
        self.text
    }

    fn collect(&mut self, enough: impl Fn(&Self) -> bool) {
        let begin = Instant::now();
        let mut over = false;
        while !enough(self) {
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
        "usr/host",
        "old",
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
        ("lib", "usr/lib"),
        ("lib64", "usr/lib64"),
        ("bin", "usr/bin"),
        ("usr/bin", "host/bin"),
        ("usr/lib64", "host/lib64"),
        ("usr/lib/x86_64-linux-gnu", "../host/lib/x86_64-linux-gnu"),
        ("usr/share/perl", "../host/share/perl"),
    ] {
        symlink(target, root.join(link)).expect("linked");
    }
    fs::write(root.join("etc/secret"), "nobody's business\n").expect("written");
    for device in DEVICES {
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
        let text = format!("version = 1\ndescription = \"{name}\"\n{text}\n{ALLOWED}");
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
        "identity: Seccomp: 2",
        "identity: NSpid: 1",
        "identity: Umask: 0077",
        "identity: SigBlk: 0000000000000000",
        "identity: environment: NOTIFY_SOCKET=/run/bastide/notify/identity TERM=dumb WATCHDOG_USEC=300000000",
        "identity: descriptors: 0 1 2",
        "identity: group: 0::/",
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
    position(
        &log,
        "service missing failed: could not be started: cannot execute",
    );
    position(&log, "service bad failed: ");
    position(&log, "`colour`: unknown field `colour`");
    position(&log, "degraded: without bad, blocked, flaky, liar, missing");
    assert!(!log.contains("bastide: ready"));
    // A flood is counted, not passed on.
    assert!(log.matches("flood: flood").count() <= 200, "{}", log.len());
    position(&log, "service flood ready");
    // Calls.
    let denied = "org.varlink.service.PermissionDenied";
    for what in ["reboot", "nonsense", "long"] {
        position(
            &log,
            &format!("stranger: {what}: cannot connect: No such file or directory"),
        );
    }
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

/// Tries everything that it was not granted, each in a process of its own.
const PROBE: &str = r##"#!/usr/bin/perl
$| = 1;
use Socket;
use POSIX ();
sub attempt {
    my ($what, $try) = @_;
    my $pid = fork();
    if ($pid == 0) {
        $! = 0;
        my $result = $try->();
        print "$what: ", (defined $result && $result ne "" && $result != -1 ? "done" : "refused: $!"), "\n";
        POSIX::_exit(0);
    }
    waitpid($pid, 0);
    print "$what: killed by signal ", $? & 127, "\n" if $? & 127;
}
sub opened { my ($mode, $path) = @_; return open(my $file, $mode, $path) ? 1 : undef; }
attempt("file granted", sub { opened("<", "/etc/granted") });
attempt("file outside", sub { opened("<", "/etc/secret") });
attempt("state of another", sub { opened("<", "/var/lib/log") });
attempt("write a program", sub { opened(">", "/usr/lib/bastide/new") });
attempt("write what is granted to be read", sub { opened(">", "/etc/granted") });
attempt("write the root", sub { opened(">", "/new") });
attempt("write the devices", sub { opened(">", "/dev/new") });
attempt("own temporary file", sub { opened(">", "/tmp/new") });
attempt("own runtime file", sub { opened(">", "/run/probe/new") });
attempt("own state file", sub { opened(">", "/var/lib/probe/new") });
attempt("device granted to all", sub { opened("<", "/dev/urandom") });
attempt("device", sub { opened("<", "/dev/kmsg") });
attempt("network socket", sub { socket(my $socket, PF_INET, SOCK_STREAM, 0) });
attempt("netlink socket", sub { socket(my $socket, 16, SOCK_RAW, 0) });
attempt("ptrace", sub { syscall(101, 0, 0, 0, 0) });
attempt("mount", sub { my ($what, $place, $kind) = ("none", "/tmp", "tmpfs"); syscall(165, $what, $place, $kind, 0, 0) });
attempt("mknod", sub { my $node = "/tmp/node"; syscall(133, $node, 0020666, 0x103) });
attempt("unlisted system call", sub { syscall(250, 0, 0) });
attempt("another system call table", sub { syscall(0x40000000 + 39) });
attempt("become root", sub { syscall(105, 0) });
attempt("memory to execute", sub { my $name = "x"; syscall(319, $name, 0) });
attempt("own user namespace", sub { syscall(272, 0x10000000) });
attempt("own user namespace by clone", sub { my $pid = syscall(56, 0x10000000 | 17, 0, 0, 0, 0); POSIX::_exit(0) if $pid == 0; $pid });
attempt("clone whose flags are in memory", sub { syscall(435, 0, 88) });
attempt("writable and executable memory", sub { syscall(9, 0, 4096, 7, 0x22, -1, 0) });
attempt("memory made executable", sub {
    my $memory = syscall(9, 0, 4096, 3, 0x22, -1, 0);
    return $memory == -1 ? "" : syscall(10, $memory, 4096, 5) });
attempt("type into a terminal", sub { my $byte = "x"; ioctl(STDOUT, 0x5412, $byte) });
attempt("another project", sub { open(my $file, ">", "/var/lib/probe/moved") or return; my $set = "\0" x 28; ioctl($file, 0x401c5820, $set) });
attempt("no project", sub { open(my $file, ">", "/var/lib/probe/moved") or return; my $set = "\0" x 8; ioctl($file, 0x40086602, $set) });
attempt("program of its own", sub {
    open(my $file, ">", "/tmp/program") or return; print $file "#!/usr/bin/perl\n"; close $file;
    chmod 0700, "/tmp/program"; exec "/tmp/program"; return });
attempt("signal to all others", sub { kill("KILL", 2000000, 1999999) ? 1 : undef });
opendir(my $proc, "/proc") or die;
my @processes = grep { /^\d+$/ } readdir $proc;
print "processes seen: @processes\n";
print "in /proc: ", (-e "/proc/sys" ? "everything" : "processes only"), "\n";
opendir(my $top, "/") or die;
print "root: ", join(" ", sort grep { !/^\./ } readdir $top), "\n";
opendir(my $dev, "/dev") or die;
print "devices: ", join(" ", sort grep { !/^\./ } readdir $dev), "\n";
opendir(my $sockets, "/run/bastide/notify") or die;
print "sockets to PID 1: ", join(" ", sort grep { !/^\./ } readdir $sockets), "\n";
opendir(my $net, "/sys") and print "sysfs is there\n";
open(my $list, "<", "/proc/self/net/dev") or die;
print "interfaces: ", join(" ", map { /^\s*(\w+):/ ? $1 : () } <$list>), "\n";
open(my $mounts, "<", "/proc/self/mountinfo") or die;
while (<$mounts>) {
    my @fields = split;
    print "mount: $fields[4] $fields[5]\n" if $fields[4] =~ m{^/(usr|etc/granted|tmp|dev|var/lib/probe|run/probe|)$};
}
"##;

/// Takes lines as the log does, and shows them.
const LOG: &str = r#"#!/usr/bin/perl
$| = 1;
use Socket;
$SIG{TERM} = sub { exit };
print "passed: $ENV{LISTEN_FDS} $ENV{LISTEN_FDNAMES} to $ENV{LISTEN_PID}, is $$\n";
open(my $lines, "<&=", 4) or die;
bless $lines;
socket(my $notify, PF_UNIX, SOCK_DGRAM, 0) or die;
send($notify, "READY=1", 0, pack_sockaddr_un($ENV{NOTIFY_SOCKET})) or die;
my $message = "";
recv($lines, $message, 4096, 0);
print "datagram: $message\n";
if (!-e "/var/lib/log/ran") {
    open(my $mark, ">", "/var/lib/log/ran") or die;
    exit 7;
}
open(my $intake, "<&=", 3) or die;
# Meanwhile there is more than the socket has room for.
sleep 1;
accept(my $connection, $intake) or die;
my $gush = 0;
while (defined recv($connection, my $packet, 4096, 0)) {
    last if $packet eq "";
    if ($packet =~ /"service":"gush"/) { print "all of gush\n" if ++$gush == 1500; next }
    print "took $packet\n";
}
"#;

/// Sends a datagram to the log before and after it runs.
const SENDER: &str = r#"#!/usr/bin/perl
$| = 1;
use Socket;
$SIG{TERM} = sub { exit };
socket(my $socket, PF_UNIX, SOCK_DGRAM, 0) or die;
send($socket, "early", 0, pack_sockaddr_un("/dev/log")) or die "send: $!";
send($socket, "late", 0, pack_sockaddr_un("/dev/log")) or die "send: $!";
socket(my $notify, PF_UNIX, SOCK_DGRAM, 0) or die;
send($notify, "READY=1", 0, pack_sockaddr_un($ENV{NOTIFY_SOCKET})) or die;
sleep 1 while 1;
"#;

/// Writes much at once, when the log is back.
const GUSH: &str = r#"#!/usr/bin/perl
$SIG{TERM} = sub { exit };
select(undef, undef, undef, 0.6);
print "x" x 80, "\n" for 1..1500;
$| = 1;
sleep 1 while 1;
"#;

/// Writes a line every now and then, then asks for the end.
const TALKER: &str = r#"#!/usr/bin/perl
$| = 1;
use Socket;
$SIG{TERM} = sub { exit };
for (1..8) { print "<4>line $_\n"; select(undef, undef, undef, 0.25); }
socket(my $bus, PF_UNIX, SOCK_STREAM, 0) or die;
connect($bus, pack_sockaddr_un("/run/bastide/org.bastide.Init")) or die;
syswrite($bus, "{\"method\":\"org.bastide.Init.PowerOff\"}\0");
sleep 1 while 1;
"#;

fn definition(program: &str, user: &str, readiness: &str, rest: &str) -> String {
    format!(
        "program = \"/usr/lib/bastide/{program}\"\nuser = \"{user}\"\nreadiness = \"{readiness}\"\n{rest}"
    )
}

#[test]
fn a_service_cannot_use_what_it_was_not_granted() {
    let probe = definition(
        "probe",
        "console-serial",
        "started",
        r#"
restart = { when = "never" }
[[readable]]
path = "/etc/granted"
why = "tries what it may read"
[[readable]]
path = "/etc/absent"
why = "is not there, which hurts nobody"
[state]
size-mib = 1
why = "tries what it may keep"
[runtime]
why = "tries what it may keep for a while"
"#,
    );
    let stop = definition(
        "talker",
        "console-screen",
        "started",
        "needs = [\"probe\"]\n[[calls]]\ninterface = \"org.bastide.Init\"\nmethods = [\"PowerOff\"]\nwhy = \"ends the test\"\n",
    );
    let Some(unshare) = unshare() else {
        return;
    };
    let root = tempfile::tempdir().expect("a folder");
    let services = [("probe", probe.as_str()), ("stop", stop.as_str())];
    furnish(
        root.path(),
        &services,
        &[("probe", PROBE), ("talker", TALKER)],
    );
    fs::write(root.path().join("etc/granted"), "read me\n").expect("written");
    let log = Machine::start(root, &unshare).run();
    for line in [
        "file granted: done",
        "file outside: refused: No such file or directory",
        "state of another: refused: No such file or directory",
        "write a program: refused: Read-only file system",
        "write what is granted to be read: refused: Read-only file system",
        "write the root: refused: Read-only file system",
        "write the devices: refused: Read-only file system",
        "own temporary file: done",
        "own runtime file: done",
        "own state file: done",
        "device granted to all: done",
        "device: refused: No such file or directory",
        "network socket: refused: Address family not supported by protocol",
        "netlink socket: refused: Address family not supported by protocol",
        "ptrace: killed by signal 31",
        "mount: killed by signal 31",
        "mknod: killed by signal 31",
        "unlisted system call: killed by signal 31",
        "another system call table: killed by signal 31",
        "become root: killed by signal 31",
        "memory to execute: killed by signal 31",
        "own user namespace: killed by signal 31",
        "own user namespace by clone: refused: Operation not permitted",
        "clone whose flags are in memory: refused: Function not implemented",
        "writable and executable memory: refused: Permission denied",
        "memory made executable: refused: Permission denied",
        "type into a terminal: refused: Operation not permitted",
        "another project: refused: Operation not permitted",
        "no project: refused: Operation not permitted",
        "program of its own: refused: Permission denied",
        "signal to all others: refused: No such process",
        "processes seen: 1",
        "in /proc: processes only",
        "root: dev etc lib lib64 proc run tmp usr var",
        "devices: full null random urandom zero",
        "sockets to PID 1: probe",
        "interfaces: lo",
        "mount: / ro,nosuid,nodev,noexec",
        "mount: /usr ro,nosuid,nodev",
        "mount: /dev ro,nosuid,noexec",
        "mount: /etc/granted ro,nosuid,nodev,noexec",
        "mount: /tmp rw,nosuid,nodev,noexec",
        "mount: /run/probe rw,nosuid,nodev,noexec",
        "mount: /var/lib/probe rw,nosuid,nodev,noexec",
    ] {
        position(&log, &format!("probe: {line}"));
    }
    assert!(!log.contains("sysfs is there"), "{log}");
}

#[test]
fn sockets_outlive_their_service_and_lines_reach_the_log() {
    let log_service = definition(
        "log",
        "log",
        "notify",
        r#"
restart = { when = "always", first-delay-milliseconds = 50 }
[state]
size-mib = 1
why = "remembers that it ran"
[[sockets]]
name = "intake"
kind = "sequential"
path = "/run/bastide/intake"
mode = "0600"
why = "takes lines from PID 1"
[[sockets]]
name = "lines"
kind = "datagram"
path = "/run/systemd/journal/dev-log"
mode = "0666"
why = "takes lines from others"
"#,
    );
    let sender = definition("sender", "console-screen", "notify", "");
    let talker = definition(
        "talker",
        "console-serial",
        "started",
        "needs = [\"log\"]\n[[calls]]\ninterface = \"org.bastide.Init\"\nmethods = [\"PowerOff\"]\nwhy = \"ends the test\"\n",
    );
    let gush = definition("gush", "console-serial", "started", "needs = [\"log\"]\n");
    let services = [
        ("log", log_service.as_str()),
        ("sender", sender.as_str()),
        ("talker", talker.as_str()),
        ("gush", gush.as_str()),
    ];
    let programs = [
        ("log", LOG),
        ("sender", SENDER),
        ("talker", TALKER),
        ("gush", GUSH),
    ];
    let Some(machine) = Machine::boot(&services, &programs) else {
        return;
    };
    let log = machine.run();
    in_order(
        &log,
        &[
            "log: passed: 2 intake:lines to 1, is 1",
            "log: datagram: early",
            "service log ended: exit status 7; starting it again",
            "log: datagram: late",
            r#"log: took {"service":"talker","uid":501,"pid":"#,
        ],
    );
    position(&log, r#""line":"<4>line 8""#);
    // Who writes too much waits; nobody's line is dropped.
    position(&log, "log: all of gush");
    assert!(!log.contains("dropped"), "{log}");
    assert!(!log.contains("talker: <4>line 8"), "{log}");
    position(&log, "state directories are without limits");
    // It hears the others from beginning to end.
    in_order(&log, &["service log ready", "service sender started"]);
    for other in ["sender", "talker", "gush"] {
        let stopped = format!("service {other} stopped");
        in_order(&log, &[&stopped, "service log stopped"]);
    }
}

/// Shows its runtime directory, adds to it, and fails the first time.
const KEEPER: &str = r#"#!/usr/bin/perl
$| = 1;
my $own = "/run/$ARGV[0]";
for my $name (qw(seal mark)) {
    if (open(my $file, "<", "$own/$name")) { print "$name: ", <$file>, "\n" } else { print "$name: $!\n" }
}
printf "own: %o %d\n", (stat $own)[2, 4];
if (-e "$own/mark") {
    open(my $big, ">", "$own/big") or die;
    my $written = 0;
    for (1..8) { last unless defined syswrite($big, "x" x 1048576); $written++; }
    print "room: $written MiB\n";
    exec "/usr/lib/bastide/ready";
}
open(my $mark, ">", "$own/mark") or die "mark: $!";
print $mark "mine";
exit 1;
"#;

#[test]
fn a_runtime_directory_holds_what_was_left_there_and_is_kept() {
    let keeper = |user: &str, name: &str| {
        definition(
            "keeper",
            user,
            "notify",
            &format!(
                "arguments = [\"{name}\"]\nrestart = {{ when = \"always\", first-delay-milliseconds = 50 }}\n[runtime]\nwhy = \"keeps a mark\"\n"
            ),
        )
    };
    let left = keeper("log", "left");
    let fresh = keeper("console-screen", "fresh");
    // This one would get the directory of PID 1's own sockets.
    let thief = keeper("console-serial", "bastide");
    let last = definition(
        "talker",
        "console-serial",
        "started",
        "needs = [\"left\", \"fresh\"]\n[[calls]]\ninterface = \"org.bastide.Init\"\nmethods = [\"PowerOff\"]\nwhy = \"ends the test\"\n",
    );
    let Some(unshare) = unshare() else {
        return;
    };
    let services = [
        ("left", left.as_str()),
        ("fresh", fresh.as_str()),
        ("bastide", thief.as_str()),
        ("last", last.as_str()),
    ];
    let root = tempfile::tempdir().expect("a folder");
    furnish(
        root.path(),
        &services,
        &[("keeper", KEEPER), ("ready", READY), ("talker", TALKER)],
    );
    // As the initramfs does.
    let leave = "mount -t tmpfs tmpfs run; mkdir -m 0700 run/left; printf secret >run/left/seal; \
                chown -R 503:503 run/left;";
    let log = Machine::start_after(root, &unshare, leave).run();
    in_order(
        &log,
        &[
            "left: seal: secret",
            "left: mark: No such file",
            "service left ended: exit status 1",
            "left: mark: mine",
            "service left ready",
        ],
    );
    position(&log, "left: own: 40700 503");
    position(&log, "fresh: seal: No such file");
    position(&log, "fresh: mark: mine");
    position(&log, "fresh: own: 40700 502");
    position(&log, "fresh: room: 4 MiB");
    position(
        &log,
        "cannot prepare /run/bastide: it is there and belongs to somebody else",
    );
}

#[test]
fn a_crash_of_pid_one_is_told_and_reboots() {
    let quiet = definition("ready", "console-serial", "notify", "");
    let services = [("good", quiet.as_str())];
    let Some(mut machine) = Machine::boot(&services, &[("ready", READY)]) else {
        return;
    };
    machine.wait_for("bastide: ready");
    let unshare = machine.child.id();
    let children = fs::read_to_string(format!("/proc/{unshare}/task/{unshare}/children"))
        .expect("the children of unshare");
    let init: i32 = children.trim().parse().expect("one child");
    let init = rustix::process::Pid::from_raw(init).expect("a process");
    rustix::process::kill_process(init, rustix::process::Signal::SEGV).expect("sent");
    let log = machine.run();
    position(
        &log,
        "PID 1 cannot go on: it crashed by signal 11 (memory access); rebooting",
    );
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
