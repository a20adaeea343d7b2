//! Made-up services for the tests of this crate.

use std::path::{Path, PathBuf};

use bastide_config::name::ServiceName;
use bastide_config::service::Service;

use crate::catalogue::Defined;

/// What every definition must say.
const HEAD: &str = "version = 1
description = \"Made up\"
program = \"/usr/lib/bastide/made-up\"
readiness = \"notify\"
";

/// The least that a definition may allow.
const BASE: &str = "[[system-calls]]
allow = [\"@base\"]
why = \"runs and does nothing else\"
[limits]
memory-mib = 8
processes = 2
";

/// Nothing but what every service has.
pub fn least() -> Service {
    parse("least", &format!("{HEAD}user = \"console-screen\"\n{BASE}"))
}

/// A service that keeps the log and is called.
pub fn log() -> Service {
    let rest = "[state]
size-mib = 64
why = \"the log is kept there\"
[[sockets]]
name = \"varlink\"
kind = \"stream\"
path = \"/run/bastide/org.bastide.Log\"
mode = \"0666\"
why = \"the auditor reads there\"
[[serves]]
interface = \"org.bastide.Log\"
socket = \"varlink\"
callers = [\"page\"]
why = \"shows its <last> lines\"
[[calls]]
interface = \"org.bastide.Init\"
methods = [\"GetStatus\"]
why = \"knows which service is which\"
[[address-families]]
family = \"unix\"
why = \"calls PID 1\"
";
    parse("log", &format!("{HEAD}user = \"log\"\n{rest}{BASE}"))
}

/// A service that calls two others, and touches this and that.
pub fn page() -> Service {
    let rest = "[tty]
device = \"ttyS0\"
why = \"the page is shown there\"
[[readable]]
path = \"/sys/class/tpm/tpm0\"
why = \"shows the registers\"
[[calls]]
interface = \"org.bastide.Init\"
methods = [\"GetStatus\", \"Reboot\"]
why = \"shows the state of the services\"
[[calls]]
interface = \"org.bastide.Log\"
methods = [\"Read\"]
why = \"shows the last lines\"
[[address-families]]
family = \"unix\"
why = \"calls PID 1 and the log\"
";
    parse(
        "page",
        &format!("{HEAD}user = \"console-serial\"\n{rest}{BASE}"),
    )
}

/// A service that is as bad as a definition can make it in a few lines.
pub fn reckless() -> Service {
    let rest = "[[capabilities]]
name = \"CAP_SYS_ADMIN\"
why = \"a sample of the worst\"
[[shares]]
namespace = \"network\"
why = \"a sample of the worst\"
[[system-calls]]
allow = [\"mount\", \"ptrace\", \"unshare\"]
why = \"a sample of the worst\"
[[address-families]]
family = \"inet\"
why = \"a sample of the worst\"
[[devices]]
path = \"/dev/kmsg\"
access = \"read-write\"
why = \"a sample of the worst\"
";
    parse(
        "reckless",
        &format!("{HEAD}user = \"root\"\nuser-why = \"a sample of the worst\"\n{rest}{BASE}"),
    )
}

/// The services as if read from a tree.
pub fn defined(services: Vec<Service>) -> Vec<Defined> {
    let defined = |service: Service| Defined {
        file: PathBuf::from(format!("core/{}/service.toml", service.name)),
        service,
    };
    services.into_iter().map(defined).collect()
}

fn parse(name: &str, text: &str) -> Service {
    let name = ServiceName::new(name).unwrap();
    Service::parse(name, Path::new("sample"), text).unwrap_or_else(|problems| panic!("{problems}"))
}
