//! A made-up daemon that asks for more than it is granted.

use std::fs;

use bastide_config::name::ServiceName;
use bastide_config::service::Service;

use super::*;

/// A library that holds more than any one program needs.
const LIBRARY: &str = r#"
pub mod log { pub const SOCKET: &str = "/run/bastide/org.bastide.Log"; }
pub mod init { pub const SOCKET: &str = "/run/bastide/org.bastide.Init"; }
pub struct Sensor;
impl Sensor {
    pub fn read() -> &'static str { place() }
    pub fn write() -> &'static str { "/sys/class/leds/red/brightness" }
}
fn place() -> &'static str { "/sys/class/hwmon/hwmon0/temp1_input" }
pub struct Unused;
impl std::fmt::Display for Unused {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { panic!("/etc/unused") }
}
#[macro_export]
macro_rules! settings { () => { "/etc/lamp.conf" } }
"#;

const MAIN: &str = r#"
//! Reads "/etc/documented", which is no code.
mod light;
use instruments::{init::SOCKET, Sensor};
fn main() {
    std::fs::read("/proc/self/status");
    std::fs::read("/usr/share/bastide/x");
    let _ = std::os::unix::net::UnixStream::connect(SOCKET);
    Sensor::read();
    light::shine();
}
#[cfg(test)]
mod tests { const SECRET: &str = "/etc/shadow"; }
"#;

const LIGHT: &str = r#"
use rustix::net::AddressFamily;
pub fn shine() {
    std::fs::write(format!("/dev/lamp{}", 1), "on");
    std::fs::read(instruments::settings!());
    socket(AddressFamily::NETLINK);
    keep(CapabilitySet::NET_ADMIN);
    call("org.bastide.Update.Fetch");
}
#[test]
fn test() { "/var/lib/tested"; }
"#;

const HEAD: &str = "version = 1
description = \"Shines\"
program = \"/usr/lib/bastide/lamp\"
user = \"console-serial\"
readiness = \"started\"
[[system-calls]]
allow = [\"@base\"]
why = \"shines and does nothing else\"
";

/// Everything that the daemon asks for, granted.
const GRANTS: &str = "[[calls]]
interface = \"org.bastide.Init\"
methods = [\"GetStatus\"]
why = \"asks for the state\"
[[calls]]
interface = \"org.bastide.Update\"
methods = [\"Fetch\"]
why = \"asks for more light\"
[[readable]]
path = \"/sys/class/hwmon\"
why = \"reads the temperature\"
[[readable]]
path = \"/etc/lamp.conf\"
why = \"reads how bright\"
[[devices]]
path = \"/dev/lamp1\"
access = \"write\"
why = \"switches the lamp\"
[[address-families]]
family = \"unix\"
why = \"calls PID 1\"
[[address-families]]
family = \"netlink\"
why = \"a sample may\"
[[capabilities]]
name = \"CAP_NET_ADMIN\"
why = \"a sample may\"
";

fn asked() -> BTreeSet<Ask> {
    let tree = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = tree.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    };
    write("core/lamp/src/light.rs", LIGHT);
    let roots = [
        Root {
            name: "lamp".to_owned(),
            file: write("core/lamp/src/main.rs", MAIN),
            is_program: true,
        },
        Root {
            name: "instruments".to_owned(),
            file: write("base/instruments/src/lib.rs", LIBRARY),
            is_program: false,
        },
    ];
    super::asked(tree.path(), &roots).unwrap()
}

fn findings(grants: &str) -> Findings {
    let name = ServiceName::new("lamp").unwrap();
    let file = PathBuf::from("core/lamp/service.toml");
    let service = Service::parse(name, &file, &format!("{HEAD}{grants}"))
        .unwrap_or_else(|problems| panic!("{problems}"));
    let lamp = Defined { service, file };
    let mut findings = Findings::default();
    compare(
        &asked(),
        &[&lamp],
        std::slice::from_ref(&lamp),
        &mut findings,
    );
    findings
}

#[test]
fn each_thing_that_is_not_granted_is_named_with_its_place() {
    let found = findings("").violations;
    let mut found: Vec<&str> = found
        .iter()
        .map(|text| text.split(" is not granted to lamp; ").next().unwrap())
        .collect();
    found.sort_unstable();
    assert_eq!(
        found,
        [
            "base/instruments/src/lib.rs:15: \"/etc/lamp.conf\"",
            "base/instruments/src/lib.rs:3: \"/run/bastide/org.bastide.Init\"",
            "base/instruments/src/lib.rs:9: \"/sys/class/hwmon/hwmon0/temp1_input\"",
            "core/lamp/src/light.rs:4: \"/dev\"",
            "core/lamp/src/light.rs:6: the address family netlink",
            "core/lamp/src/light.rs:7: CAP_NET_ADMIN",
            "core/lamp/src/light.rs:8: the interface org.bastide.Update",
            "core/lamp/src/main.rs:8: the address family unix",
        ]
    );
}

#[test]
fn what_is_granted_is_no_violation() {
    let found = findings(GRANTS);
    assert_eq!(found.violations, [""; 0]);
}

#[test]
fn each_grant_left_out_is_found() {
    for (key, word) in [
        ("[[readable]]\npath = \"/sys/class/hwmon\"", "hwmon0"),
        ("[[readable]]\npath = \"/etc/lamp.conf\"", "lamp.conf"),
        ("[[devices]]", "/dev"),
        ("[[address-families]]\nfamily = \"netlink\"", "netlink"),
        ("[[address-families]]\nfamily = \"unix\"", "unix"),
        ("[[capabilities]]", "CAP_NET_ADMIN"),
        ("[[calls]]\ninterface = \"org.bastide.Update\"", "Update"),
        ("[[calls]]\ninterface = \"org.bastide.Init\"", "Init"),
    ] {
        let start = GRANTS.find(key).unwrap();
        let rest = &GRANTS[start + 2..];
        let end = rest.find("[[").map_or(GRANTS.len(), |end| start + 2 + end);
        let without = format!("{}{}", &GRANTS[..start], &GRANTS[end..]);
        let found = findings(&without).violations;
        assert_eq!(found.len(), 1, "{key}: {found:?}");
        assert!(found[0].contains(word), "{found:?}");
        assert!(found[0].contains("grant it with"), "{found:?}");
    }
}

#[test]
fn a_grant_that_no_code_names_is_told() {
    let more = "[[readable]]\npath = \"/etc/forgotten\"\nwhy = \"nobody knows any more\"\n";
    assert_eq!(
        findings(&format!("{GRANTS}{more}")).unused,
        [
            "core/lamp/service.toml: `readable`: \"/etc/forgotten\" is granted, and no code of /usr/lib/bastide/lamp names it",
            "core/lamp/service.toml: `devices`: \"/dev/lamp1\" is granted, and no code of /usr/lib/bastide/lamp names it",
        ]
    );
}

#[test]
fn the_tree_itself_can_be_examined() {
    let tree = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let tree = tree.canonicalize().unwrap();
    let metadata = MetadataCommand::new()
        .manifest_path(tree.join("Cargo.toml"))
        .no_deps()
        .exec()
        .unwrap();
    let program = Path::new("/usr/lib/bastide/console");
    let roots = roots(&metadata, program).unwrap();
    let asked = super::asked(&tree, &roots).unwrap();
    let asks = |text: &str| asked.iter().any(|ask| ask.what.to_string().contains(text));
    assert!(asks("/sys/class/tpm/tpm0"), "{asked:?}");
    assert!(asks("/sys/firmware/efi/efivars"), "{asked:?}");
    assert!(asks("org.bastide.Init"), "{asked:?}");
    // In crates that it depends on, and out of its reach.
    assert!(!asks("CAP_CHOWN"), "{asked:?}");
    assert!(!asks("/usr/lib/bastide/init"), "{asked:?}");
}
