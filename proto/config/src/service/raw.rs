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
    pub calls: Vec<Calls>,
    #[serde(default)]
    pub capabilities: Vec<Capability>,
    #[serde(default)]
    pub limits: Limits,
    #[serde(default)]
    pub resources: Resources,

    // Known, and refused until PID 1 enforces them.
    pub readable: Option<Spanned<toml::Value>>,
    pub writable: Option<Spanned<toml::Value>>,
    pub devices: Option<Spanned<toml::Value>>,
    pub sockets: Option<Spanned<toml::Value>>,
    pub namespaces: Option<Spanned<toml::Value>>,
    pub network: Option<Spanned<toml::Value>>,
    pub system_calls: Option<Spanned<toml::Value>>,
    pub address_families: Option<Spanned<toml::Value>>,
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

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Limits {
    pub memory_mib: Option<Number>,
    pub processes: Option<Number>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Resources {
    pub open_files: Option<Number>,
    pub file_size_bytes: Option<Number>,
    pub address_space_bytes: Option<Number>,
    pub locked_memory_bytes: Option<Number>,
}
