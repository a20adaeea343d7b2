//! `service.toml` as written, before validation.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::problem::Spanned;

type Text = Spanned<String>;
type Number = Spanned<i64>;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Service {
    pub version: Number,
    pub description: Text,
    pub program: Text,
    #[serde(default)]
    pub arguments: Vec<Text>,
    #[serde(default)]
    pub environment: BTreeMap<Text, Text>,
    pub user: Text,
    pub user_why: Option<Text>,
    pub tty: Option<Tty>,
    #[serde(default)]
    pub needs: Vec<Text>,
    pub readiness: Text,
    pub start_timeout_seconds: Option<Number>,
    pub stop_timeout_seconds: Option<Number>,
    pub watchdog_seconds: Option<Number>,
    pub restart: Option<Restart>,
    #[serde(default)]
    pub readable: Vec<Path>,
    #[serde(default)]
    pub writable: Vec<Path>,
    pub state: Option<State>,
    pub runtime: Option<Runtime>,
    #[serde(default)]
    pub devices: Vec<Device>,
    #[serde(default)]
    pub sockets: Vec<Socket>,
    #[serde(default)]
    pub serves: Vec<Serves>,
    #[serde(default)]
    pub calls: Vec<Calls>,
    #[serde(default)]
    pub capabilities: Vec<Capability>,
    #[serde(default)]
    pub system_calls: Vec<SystemCalls>,
    #[serde(default)]
    pub address_families: Vec<AddressFamily>,
    #[serde(default)]
    pub shares: Vec<Share>,
    #[serde(default)]
    pub limits: Limits,
    #[serde(default)]
    pub resources: Resources,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Tty {
    pub device: Text,
    pub why: Text,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Restart {
    pub when: Text,
    pub first_delay_milliseconds: Option<Number>,
    pub longest_delay_seconds: Option<Number>,
    pub limit: Option<Number>,
    pub window_seconds: Option<Number>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Path {
    pub path: Text,
    pub why: Text,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct State {
    pub size_mib: Number,
    pub why: Text,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Runtime {
    pub why: Text,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Device {
    pub path: Text,
    pub access: Text,
    pub why: Text,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Socket {
    pub name: Text,
    pub kind: Text,
    pub path: Option<Text>,
    pub mode: Option<Text>,
    pub why: Text,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Serves {
    pub interface: Text,
    pub socket: Text,
    pub callers: Spanned<Vec<Text>>,
    pub why: Text,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Calls {
    pub interface: Text,
    pub methods: Spanned<Vec<Text>>,
    pub why: Text,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Capability {
    pub name: Text,
    pub why: Text,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct SystemCalls {
    pub allow: Spanned<Vec<Text>>,
    pub why: Text,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct AddressFamily {
    pub family: Text,
    pub why: Text,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Share {
    pub namespace: Text,
    pub why: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Limits {
    pub memory_mib: Option<Number>,
    pub processes: Option<Number>,
    pub cpu_percent: Option<Number>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Resources {
    pub open_files: Option<Number>,
    pub file_size_bytes: Option<Number>,
    pub address_space_bytes: Option<Number>,
    pub locked_memory_bytes: Option<Number>,
}
